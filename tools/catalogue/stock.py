"""The data: backgrounds, categories, the products on the shelf and the pictures to search with."""

from tools.catalogue import bags, fruit, mugs, phones, shirts, shoes, snacks, watches
from tools.catalogue.palette import Palette
from tools.catalogue.products import Category, Product, Shot
from tools.catalogue.scene import Scene
from tools.catalogue.view import View

WHITE = Scene("sweep", near="#efeff0", far="#fafafa")
GREY = Scene("sweep", near="#cfd1d4", far="#e4e6e8", warmth=-0.1)
SAND = Scene("sweep", near="#dccbb2", far="#f0e7d9", warmth=0.2)
SKY = Scene("sweep", near="#b4cedd", far="#d9e8f0")
BLUSH = Scene("sweep", near="#ebc9c2", far="#f7e6e2")
MINT = Scene("sweep", near="#bcd9ca", far="#dfeee6", light_from_left=False)
LILAC = Scene("sweep", near="#cdc3e2", far="#e9e4f2", light_from_left=False)
COUNTER = Scene("table", near="#d3bc9b", far="#eee9e2", warmth=0.15)
SHELF = Scene("table", near="#b3babf", far="#e3e7ea", light_from_left=False)
OAK = Scene("planks", near="#d2b088", far="#9a744b")
LINEN = Scene("linen", near="#cfd3d2", far="#e9ebea", light_from_left=False)
STREET = Scene("asphalt", near="#7d7f82", far="#9b9c9d")
LAMP = Scene("linen", near="#cdbfa9", far="#e9dfcf", warmth=0.8, brightness=0.92)
EVENING = Scene("table", near="#7b6a5c", far="#5f6570", warmth=0.5, brightness=0.92)

FRONT = View(scale=0.86)
TURNED = View(scale=0.84, yaw_deg=26, pitch_deg=5, roll_deg=-1)
SMALL = View(scale=0.66, yaw_deg=-22, shift=(-3, 6))
OTHER_SIDE = View(scale=0.84, mirrored=True, yaw_deg=-14)
TILTED = View(scale=0.78, roll_deg=-26, pitch_deg=12)
SPUN = View(scale=0.72, roll_deg=38, yaw_deg=10)
ROLLED = View(scale=0.66, roll_deg=-20, mirrored=True)
CLOSE = View(scale=1.0, roll_deg=7, yaw_deg=-12)

BAGS = Category("bags", "standing", 440, (FRONT, TURNED, SMALL))
SHOES = Category("shoes", "standing", 480, (View(scale=0.94, shift=(0, -4)), OTHER_SIDE, SMALL))
WATCHES = Category("watches", "lying", 420, (View(scale=0.86), TILTED, CLOSE))
PHONES = Category("phones", "lying", 400, (View(scale=0.86), TILTED, SPUN), first_suffix=".png")
FRUIT = Category("fruit", "standing", 400, (FRONT, ROLLED, View(scale=0.94, roll_deg=12)))
SNACKS = Category("snacks", "standing", 440, (View(scale=0.86), TURNED, SMALL))
MUGS = Category("mugs", "standing", 400, (FRONT, OTHER_SIDE, SMALL))
SHIRTS = Category("t-shirts", "lying", 440, (View(scale=0.9), SPUN, TILTED))

# A table reads best as a table:
# fmt: off
PRODUCTS: tuple[Product, ...] = (
    Product(BAGS, "amber-tote", "Amber tote", "amber", "Norda", "89.00",
            bags.draw_tote, Palette("#d8953f", "#8a5024", "#ffe9c4"), (WHITE, COUNTER, SKY)),
    Product(BAGS, "teal-tote", "Teal tote with pocket", "teal", "Norda", "85.00",
            bags.draw_tote, Palette("#2a8c8a", "#174f56", "#d8f0e8"), (GREY, SAND)),
    Product(BAGS, "red-handbag", "Evening handbag", "red", "Maison Velle", "149.00",
            bags.draw_handbag, Palette("#b8202f", "#7f1420", "#ffd9d0"), (WHITE, BLUSH, SHELF)),
    Product(BAGS, "olive-duffel", "Weekend bag, large", "olive green", "Norda", "129.50",
            bags.draw_duffel, Palette("#7a8248", "#6b4526", "#f0dcae"), (SAND, COUNTER)),
    Product(BAGS, "navy-backpack", "Day pack: 18 litres", "navy blue", "Norda", "74.90",
            bags.draw_backpack, Palette("#2d4474", "#c77a3a", "#fff0da"), (WHITE, SKY, COUNTER)),
    Product(SHOES, "red-sneaker", "Court low, canvas", "red", "Stride & Co.", "59.00",
            shoes.draw_sneaker, Palette("#d23a34", "#8f1f22", "#f6f1e6"), (WHITE, SKY, COUNTER)),
    Product(SHOES, "white-sneaker", "Court low, leather", "white", "Stride & Co.", "69.00",
            shoes.draw_sneaker, Palette("#f0eeea", "#2f8f6b", "#fbfaf7"), (GREY, BLUSH)),
    Product(SHOES, "blue-runner", "Tempo 3: running shoe", "blue", "Ferro", "119.00",
            shoes.draw_runner, Palette("#2f6fd0", "#ffb02e", "#f7f8fa"), (WHITE, LILAC, SAND)),
    Product(SHOES, "brown-boot", "Trail 2: ankle boot", "brown", "Ferro", "139.00",
            shoes.draw_boot, Palette("#9a6234", "#5d3a20", "#e8c98c"), (GREY, COUNTER)),
    Product(WATCHES, "silver-watch", "Meridian, steel bracelet", "silver and blue", "Halden",
            "249.00", watches.draw_bracelet_watch, Palette("#c5c9cf", "#23457f", "#c5c9cf"),
            (WHITE, GREY, OAK)),
    Product(WATCHES, "gold-watch", "Meridian, leather strap", "gold and brown", "Halden", "229.00",
            watches.draw_strap_watch, Palette("#7b4a2a", "#f4efe2", "#d9ae56"), (SAND, LINEN)),
    Product(WATCHES, "green-watch", "Field watch", "green", "Halden", "179.00",
            watches.draw_strap_watch, Palette("#4c5b3a", "#1f4a3a", "#b9bdc2"), (WHITE, BLUSH)),
    Product(WATCHES, "black-smartwatch", "Pulse 2: smart watch", "black", "Lumo", "199.00",
            watches.draw_smart_watch, Palette("#2a2c31", "#ff5a6e", "#4fd2c2"), (WHITE, OAK)),
    Product(PHONES, "mint-phone", "Lumo 7, 128 GB", "mint green", "Lumo", "599.00",
            phones.draw_phone_back, Palette("#9fd6bf", "#f6fffa", "#c8d4cf"), (WHITE, GREY, OAK)),
    Product(PHONES, "violet-phone", "Lumo 7, 256 GB", "violet", "Lumo", "679.00",
            phones.draw_phone_back, Palette("#6d55a8", "#e9e0ff", "#a99bc9"), (WHITE, SAND)),
    Product(PHONES, "coral-phone", "Pico Duo", "coral", "Pico", "349.00",
            phones.draw_phone_duo, Palette("#f0806a", "#fff3ee", "#c9b3ad"), (WHITE, SKY)),
    Product(PHONES, "sunset-phone", "Pico Max: 6.7 inch screen", "black", "Pico", "449.00",
            phones.draw_phone_front, Palette("#4a2a6a", "#f29a6b", "#565a62"), (WHITE, MINT)),
    Product(FRUIT, "red-apple", "Red apple, each", "red", "Green Hill", "0.55",
            fruit.draw_apple, Palette("#c3242b", "#e88a3a", "#5d9a3c"), (WHITE, COUNTER, MINT)),
    Product(FRUIT, "green-apple", "Green apple, each", "green", "Green Hill", "0.60",
            fruit.draw_apple, Palette("#8dbb36", "#dfe08a", "#5d9a3c"), (WHITE, BLUSH)),
    Product(FRUIT, "orange", "Orange, each", "orange", "Costa Sol", "0.75",
            fruit.draw_orange, Palette("#f28a1c", "#ffb95a", "#5d9a3c"), (WHITE, SKY)),
    Product(FRUIT, "bananas", "Bananas: bunch of three", "yellow", "Costa Sol", "1.20",
            fruit.draw_bananas, Palette("#f5cf3a", "#8a7a32", "#5d9a3c"), (GREY, LILAC)),
    Product(FRUIT, "strawberry", "Strawberries, 250 g", "red", "Green Hill", "3.40",
            fruit.draw_strawberry, Palette("#de2a37", "#ffe08a", "#5d9a3c"), (WHITE, MINT)),
    Product(SNACKS, "red-crisps", "Crisps, paprika", "red", "Krispo", "1.99",
            snacks.draw_crisps, Palette("#d42f2c", "#ffd84d", "#ffffff"), (WHITE, COUNTER, GREY)),
    Product(SNACKS, "blue-crisps", "Crisps, sea salt", "blue", "Krispo", "1.99",
            snacks.draw_crisps, Palette("#2b62b8", "#f4f6f8", "#ffffff"), (WHITE, SAND)),
    Product(SNACKS, "green-nuts", "Mixed nuts: 150 g", "green", "Nutto", "2.80",
            snacks.draw_nuts, Palette("#3d8a4a", "#f6e7bd", "#ffffff"), (GREY, BLUSH)),
    Product(SNACKS, "yellow-biscuits", "Tea biscuits", "yellow", "Mellin", "2.20",
            snacks.draw_biscuits, Palette("#f0a51e", "#4f8f3c", "#ffffff"), (WHITE, LILAC)),
    Product(SNACKS, "purple-chocolate", "Dark chocolate, 70%", "purple", "Velour", "2.60",
            snacks.draw_chocolate, Palette("#5b2d82", "#e2b24a", "#fff1cf"), (WHITE, MINT)),
    Product(MUGS, "yellow-mug", "Leaf mug", "yellow", "Clayhouse", "12.00",
            mugs.draw_plain_mug, Palette("#f2bd3a", "#356b4f", "#fff6df"), (WHITE, SHELF)),
    Product(MUGS, "pink-dotted-mug", "Dotted mug", "pink", "Clayhouse", "13.50",
            mugs.draw_dotted_mug, Palette("#f3a7b4", "#fffaf8", "#fffaf8"), (WHITE, SKY, COUNTER)),
    Product(MUGS, "blue-striped-mug", "Harbour mug, 300 ml", "white and blue", "Clayhouse", "13.50",
            mugs.draw_striped_mug, Palette("#f5f3ee", "#2a5aa0", "#ffffff"), (GREY, SAND)),
    Product(SHIRTS, "navy-striped-shirt", "Breton tee", "navy and white", "Tidewear", "29.00",
            shirts.draw_striped_shirt, Palette("#f4f1ea", "#25376b", "#25376b"), (GREY, OAK)),
    Product(SHIRTS, "coral-sun-shirt", "Sunrise tee", "coral", "Tidewear", "27.00",
            shirts.draw_sun_shirt, Palette("#f07f68", "#ffe3a3", "#fff4dc"), (WHITE, LINEN, SKY)),
    Product(SHIRTS, "green-pocket-shirt", "Pocket tee, organic", "green", "Tidewear", "25.00",
            shirts.draw_pocket_shirt, Palette("#4c8a64", "#2f5f45", "#2f5f45"), (WHITE, SAND)),
)

QUERIES: tuple[Shot, ...] = (
    # New views of products on the shelf.
    Shot("red-sneaker-street.jpg", shoes.draw_sneaker, Palette("#d23a34", "#8f1f22", "#f6f1e6"),
         "standing", View(scale=0.84, yaw_deg=30, roll_deg=-2, shift=(3, 6)), STREET, 460),
    Shot("amber-tote-oak.jpg", bags.draw_tote, Palette("#d8953f", "#8a5024", "#ffe9c4"),
         "lying", View(scale=0.8, roll_deg=17, yaw_deg=-8), OAK, 440),
    Shot("silver-watch-lamp.jpg", watches.draw_bracelet_watch,
         Palette("#c5c9cf", "#23457f", "#c5c9cf"),
         "lying", View(scale=0.8, roll_deg=58), LAMP, 440),
    Shot("mint-phone-linen.png", phones.draw_phone_back, Palette("#9fd6bf", "#f6fffa", "#c8d4cf"),
         "lying", View(scale=0.7, roll_deg=62, pitch_deg=10), LINEN, 400),
    Shot("red-crisps-evening.jpg", snacks.draw_crisps, Palette("#d42f2c", "#ffd84d", "#ffffff"),
         "standing", View(scale=0.76, yaw_deg=-30, shift=(4, 3)), EVENING, 440),
    # Products that are not on the shelf, but have near relations there.
    Shot("green-sneaker.jpg", shoes.draw_sneaker, Palette("#3f9a5a", "#1d5a34", "#f6f1e6"),
         "standing", View(scale=0.84, yaw_deg=-8, shift=(0, -2)), WHITE, 480),
    Shot("pear-counter.jpg", fruit.draw_pear, Palette("#b9c24a", "#d98a3a", "#5d9a3c"),
         "standing", FRONT, COUNTER, 400),
    Shot("clay-dipped-mug.jpg", mugs.draw_dipped_mug, Palette("#3f7f93", "#c98f66", "#e8efee"),
         "standing", View(scale=0.76, roll_deg=3), SAND, 420),
)
# fmt: on

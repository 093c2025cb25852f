"""The sample catalogue: pictures of invented products, drawn rather than photographed.

Imports point one way: ``curves`` and ``view`` know nothing of the others, ``canvas`` paints with
them, one module per category draws its products on a canvas, ``products`` lists what is on the
shelf, ``scene`` puts a drawn product in front of a background and ``shelf`` writes the files.
"""

"""The mean of the classic descriptor over 4,686 photos of clothes and groceries.

Made by ``benchmarks/classic_mean.py``; a constant of the descriptor, like its bins.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTHS: Final = (0.6867, 0.3741, 0.1902, 0.3177, 0.1972)
"""Root mean square distance from the mean, of each part."""

_MEAN: Final = (
    b"002Az1Q5IukO5;BO(04oKqXukJRV#q9W8e(q8!K-<{`BzF)MEwR{(wvq#*YpDF$Exl@MwgBOTfhG#@D@4k)Q9HY8"
    b"6ZG%UL=H!vnCg&S5Tf-N906e#Bd&l<KTYbwhg)&<-ZQyW?wI1<PmCMFpu2`a58fFNQjPA(EL94$E)FeR5P^DmDoF"
    b"a!e}t0e#_mLP!v2@oq2tq}tXXAm+VO(cvZ9wb!~za+mau`Np}S_#J<2PpI@{v$X5RuP~X85+G1007Pa9S(63hXJP"
    b"*${%<nvLwA1xE&TKb1bhbf*fNNnjsA;k}4z_NB|@bogfh+dj@|2l@KTyARM9)7#_4GfhU(Kf+Uk8+$$+A129!7SQ"
    b"^D8B`q;9Zz$XYNgB{6%_@-}?*;o6h8k@fA`-Y9yCu>m7b+Ym(I5XQ+${<*el7MDpCmFYCoohij09a9!X;}d3?bVA"
    b"BM|lyqY)Deun%w_up?$AMI>htHYBksH!XN6CkfXbxh88VPb5zO&JdItwi;6r006WAz6>A`=Kxz30w9_sqa^4S>l_"
    b"p)yDTp(c^oPfd?BqWaw{zvC;*=h3n7jo>jg~#VGz|9k{L}6svVgnV<!zMha-|Afh(pibTCdS#~67fy)C~mfhcAJY"
    b"8nS9t17!5I|V5fxfszH;t$9hHzgS-3@LCXY965}FfJG|?JTDhStOAxVKC<^3Iz5VekJcHVIZ6VXbu+<a}f0j><v{"
    b"OogzOZG9pwErz3nSvn*IBFbGE-&?ZDFaw9zeJrF4wD;ld1`Y5<5+9~5HCn~oqt}DDNJu90mR4h;|*()Y3jx2yIA1"
    b"pjAg)C<*6)f~DRV*<qIx9geoGV)^5-GYVN+}a5swkW(&MC1e`YHA+%qxH^^eTufGb|n~k}Jh5Oe|F_>MOo1M=VJ!"
    b"zAJ1j9V`tj*eaAOK`SLI)hJ3SLn#?45GjT#7b~?Y$10U9hb$~CCM%3AZ7fbK2`gSKMl4b+-YOt0CM+y0m@3LE<tx"
    b"G~ASx9rFe@u7-YA19t|^=;Z7B{bA1n(jxGG~T%q*iUeJc4YO)Oa~DJqmJ1uP#d<0&dDsVmDXx+&o*S}SfVyeaW2c"
    b"q_Im{3szRwJPE&$|*4`hAbW}h$<Q^_biGnek#Q)Wh}WYJ}Pf39V}cd!zt=2z$+3g(kb04pDXMucq$SsnJm04^eOx"
    b"+lq{$$?I_172rCmTo+;!iCM>xu3o1P;{3}r`>?s;6vMUrUbt$DPSSzqAjwz`sO)F_D0V;1R1T5$)I4PYfA1nJR$|"
    b"z$g1S*&+#3|b<!z)NEkt&ZX1uRP}V=A62^D8eb*(ok7qbuVp(kTxsi7R?5$te~qWh*W#!6>LHttpKu;wWn=nkmUC"
    b"<SG6tT`RgPt||j83M?fonkq3Y9V|60M=Ag;@+<r+7AmSMuPcfxw<#1W{wm8VfhagB{V3rmD=#Q8p)k)dL@<FdG%{"
    b"r}qc9FKn=-*Nr7$Eir!vPfr!XHfm@=g@tS|^Nb~0}=d@!yt5i$ibXD?YWiZFgKODw@G;Vm^TCN3o|m@JGeKP;&%o"
    b"GsHWqb;2+F)TkUuq-q!Xf4<+;VfD$zAH^E#w^J#`z+Zlb1Y3Q^()sb&Mb^B5G_?Mv@Fyu>MTYs`72s2n=GU)Uo22"
    b"9L@W_4t}D4Lx-5n*W-L1`xGP{R&ntH<`7E0)!z^VjrYk8d$1GGWk1pgc)Go*_AT1Uxw=6j=GcJHGFD^(fkSx9|BQ"
    b"4i0-z|eKNG;+mAuO*fIxUJWTP=1jxh%0QIV?ymO)Yyba4q&O{472$QZ4E(YAhZu@hmkiqAam3nk<toGb~pv7cCtw"
    b"yezLRCM>}$L@fU-ZY?%0F)iaQDJ+UC&NWCik~ASO$~9;&4l&d<yDVHU3M#2EJuLt;94am@Pb+OI0Wn-EQ7|Pk&>@"
    b"T}#wklKhc8zztuq)g"
)
"""Little-endian float16 in base85."""


def mean_parts() -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """The mean, `[dimension]` float32, and the typical length of each part once centred."""
    mean = np.frombuffer(base64.b85decode(_MEAN), dtype="<f2")
    return mean.astype(np.float32), _LENGTHS

"""The mean of the classic descriptor over 4,686 photos of clothes and groceries.

Made by ``benchmarks/classic_mean.py``; a constant of the descriptor, like its bins.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTHS: Final = (0.7276, 0.3487, 0.2941, 0.1891)
"""Root mean square distance from the mean, of each part."""

_MEAN: Final = (
    b"0000000062umFev00000hXU~n<`U=`>J<P0sSyVo_#cZSCMH=RO#r<Z1|d%-Z7D`9044AM^$@li2_jA?4J=P3GXS"
    b">$LkZv&BqG8mz#sqs005T&b_q}yogLH_00000E&y`|H4Xd|rVtJQNetT*eHiB(*C6p9C=_BEQzGFcFC``@A1Kow2"
    b"_DELjw#wIm@btp<{~W?86f5*jVf3#H!ap7p98HEpB|kioh<e#`5FTNL<)x(sUc)2$RyPU003tLR1Q}W;uJCwz5uH"
    b"ZJ{T+;mK^aODj&2MJQ!Ia1SQ=it|u8OfF*bs79*Z09V-Jc#V$c97!V*G3ME`BMlWqHfhV*9HWLpYEhV!lqbV&Q0s"
    b"!m_$r;@sC?-WDJ`4Z=umO|_77Sqv4+Wk85CQ8BjudwlQx!uMh!V;JEEr`VW+Oo)btGIONdw9mIV1xq6D{y6p(RcM"
    b"027`cR3_gllPC%y9sn8$*%tB~bRVf5TNMBR?f_*DIukt-1`SmJ0000000031dH`Pl00000H3MA?K@w~kCl&wz77-"
    b"5{2_SzWV<l}MQUH7yCLy0D=_oxbuO#yTwh-wWN+Pi*1}oqsH2~TG_6c$owIPlt#vlLy0074TK?oKWXdT-X00000G"
    b"625^9S!&qBo7h*$Os@5#~8#Lav(Gy{uHShNg^F3G$kh}YA9eJz#Z=;$tkBQFD{cTgCk!R@E__W3@X+xS}lzt#{>`"
    b"*N*+fhz$}z17#tS>c?&ieSs`^O@gzS7005f=r4LdO3KXmm6#+pEW*4Lzq8yeU@E@ZYU>80iJ|*uZtS56RA|_@SL?"
    b"gW@<0^hH=q}DFy$<Uf-6Xv!yDrc!MJNOU`4hk%@+3?uk1Ek16adi-XBpKXk0x{^ZVUhbi~?B-DGRm=Y6cVmRsmEG"
    b"#1wiJl@(eR(h~**2N)S3t0K!IiX_}3j{<lZ<|AV$RV<Gx0wx*(>JsoCSS7G2TPUU>H2{7IrxuVL0U)g&FBSj*Ljj"
    b"fzeiASf8V*VT0000000031N&q<k0000069Y30oe_-~?Gyk22M}i(SRWQ51SRetL;$)LULf%$zbJ$&#w5i6dJc9Or"
    b"6JWPxGPH~D*&SaR0+8iEg~2w3?Tpj006}RlL@&O*d5>%00000DF7e_iV8ap77Psl-~@~lK^Qq2b{?-C3KD%7ZXt*"
    b"y%Os8`izg``Y#h)e4=Io;*e=y93nL>F03J0ZPAUd4`7IYB2n1OZ4<3#t2`#}YAR7(<F$zT(qajczg(Q3h008j<W("
    b"@%k$`HW~?Eq8={S^lqj~YoF0v!SuH5D=-ha_AjuO?n7z9cyozacs(^(qH2!!80T8VrIPQY8K<!Y>&wf+y$!2onV!"
    b"xg=OBUMdbC3;>S{(->JG0Veb#!wLWZtpQC4WeEBRNd*=G=KyyN%@QgT!4qv16A`KcBo@LR(jk^2x+2ve$pJSQ&LS"
    b"NsG%T$tpd_sTAraag8ztW<ASk6ED*!YIZ51CJo*yV4_Y?pC;s6E>UJ-~A!3{qE!6{=ZP%1Dgg({*efGbKXODk<GI"
    b"xGk**ed}om@Gyt6D&k6tt?0^`zr=5cPtw$3@b@2(koaig(*oY{wcmGVkr|UBP#bPOe&Hqm@6hL^D0s-AS}8okSnz"
    b";NGuyH<}1`JO)MfTs4Ipn8Z6~2(kjC%MJpF8U@7k@*eSFr&?&Jh2`k<z<0?cfWh@OWO)HQrYb+ToQ7dXJG%Ob^IV"
    b"&zK2rT?7^eWpcrz?#sl`29jGb=7DpeZpbQYu9%Qz}v`0W1hC7AsRMz$}(53o9oqTr55;r7EB+%q!9>aVje-T`PGj"
    b"O)C5<KPzD?SSmRyqbuSoxG9(_A}d}iy(+RRcr5BHAS)^?=`4mV{wm}vWGuQYz$$|)<|`&Fb}9iYdMnr~kSaDS;wu"
    b"^~1S>r(%PjXSa4POAiY%`zvMF3D4=d9vEGqLV^(&GrRVo@QvMV+$W-2BtUn{#SA1b>l6)RmUK`QSmUMpxTe=4IZ8"
    b"Y~Pf+$rlSdn<P<fhhwjFDi^GHY(LBP%8l}$|`Fso+}e9=qjr#peyYwgepNRXDgB`dMY+6ZYxwPRVqR&b}K$Beknm"
    b"JT`EN?qbV9H^(pWvQz`;00xLBu<SNoDvn$3c{VF0X0xbC}yD9)I*(<s$h$^ltpDSW38!99#6)V{)D=Ez>xG9q<nJ"
    b"nKd<t-a7LoPus)-2{MSS+$Enk~XD!!4{WXe@m!o-8IUge}-D6D?6KDJ*>~*(|#)GA-jRrz}J*J}d$)B`u3CR4rdF"
    b"4lVI5EiHL2HY`mov@DA)nJh~!Z!9@20xYd8$t+wglq@PO4J?l=9V~n-1TAwd=qz3>3M^zS2`y(Wg)Yu6;x6niL@i"
    b"}4zAQH_CN69)LoQS<uq^B>1uefV?=5pKa4pd-TrAWqN-cFRi7jm|?kuM*d@OV=q%CwWvMuf|UoBrQkS!oDpDY0`3"
    b"@sBb;w-N%x-7gcT`V~*CoSwP=q#HpO)Tv!b}aQQbu9}nOfB6lQ7peK5jI&hsWc-n;5A4u`!LBhn=Cso_bHVyCN0x"
    b"45h@lgH!EK%-!MliKQQ(&0wQcGwJ8%WUoSN;Z8PvN"
)
"""Little-endian float16 in base85."""


def mean_parts() -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """The mean, `[dimension]` float32, and the typical length of each part once centred."""
    mean = np.frombuffer(base64.b85decode(_MEAN), dtype="<f2")
    return mean.astype(np.float32), _LENGTHS

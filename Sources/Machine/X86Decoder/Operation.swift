/// What an instruction does, whatever its encoding; mostly the SDM's mnemonic, in lower case.
///
/// The raw values group the operations for the engines' dispatch: integer below ``firstSystem``, system below
/// ``firstVector``, then x87, MMX, SSE and AVX with the state management around them. The condition of ``jcc``,
/// ``setcc`` and ``cmovcc`` is in bits 3:0 of ``DecodedInstruction/opcode``.
@frozen
public enum Operation: UInt16, CaseIterable, Sendable {
    // Integer.
    case add = 0
    case or
    case adc
    case sbb
    case and
    case sub
    case xor
    case cmp
    case inc
    case dec
    case neg
    case not
    case mul
    case imul
    case div
    case idiv
    case test
    case mov
    case movzx
    case movsx
    case movsxd
    case xchg
    case xadd
    case cmpxchg
    case cmpxchg8b
    case cmpxchg16b
    case lea
    case push
    case pop
    case pusha
    case popa
    case pushf
    case popf
    case enter
    case leave
    case callNear
    case jmpNear
    case retNear
    case jcc
    case setcc
    case cmovcc
    case loop
    case loope
    case loopne
    case jcxz
    case rol
    case ror
    case rcl
    case rcr
    case shl
    case shr
    case sar
    case shld
    case shrd
    case bt
    case bts
    case btr
    case btc
    case bsf
    case bsr
    case tzcnt
    case lzcnt
    case popcnt
    case bswap
    case movbe
    case cbw
    case cwd
    case lahf
    case sahf
    case clc
    case stc
    case cmc
    case cld
    case std
    case salc
    case xlat
    case aaa
    case aas
    case aam
    case aad
    case daa
    case das
    case movs
    case cmps
    case stos
    case lods
    case scas
    case nop
    case pause
    case ud0
    case ud1
    case ud2
    case undefined
    case andn
    case bextr
    case blsi
    case blsmsk
    case blsr
    case bzhi
    case mulx
    case pdep
    case pext
    case rorx
    case sarx
    case shlx
    case shrx
    case adcx
    case adox
    case crc32
    case rdrand
    case rdseed
    case prefetch
    case bound
    case movnti
    case lfence
    case mfence
    case sfence
    case clflush
    case clflushopt
    case clwb
    case endbr

    // System: privileged, sensitive, far control transfers and port I/O.
    case callFar = 256
    case jmpFar
    case retFar
    case iret
    case int3
    case int
    case into
    case int1
    case syscall
    case sysret
    case sysenter
    case sysexit
    case `in`
    case out
    case ins
    case outs
    case hlt
    case cli
    case sti
    case movToSegment
    case movFromSegment
    case pushSegment
    case popSegment
    case lds
    case les
    case lss
    case lfs
    case lgs
    case lgdt
    case lidt
    case sgdt
    case sidt
    case lldt
    case ltr
    case sldt
    case str
    case smsw
    case lmsw
    case clts
    case arpl
    case lar
    case lsl
    case verr
    case verw
    case movToControl
    case movFromControl
    case movToDebug
    case movFromDebug
    case invlpg
    case invpcid
    case wbinvd
    case invd
    case rdmsr
    case wrmsr
    case rdtsc
    case rdtscp
    case rdpmc
    case rdpid
    case cpuid
    case xgetbv
    case xsetbv
    case swapgs
    case rdfsbase
    case rdgsbase
    case wrfsbase
    case wrgsbase
    case stac
    case clac
    case monitor
    case mwait
    case rsm
    case vmcall
    case vmmcall
    case xabort
    case xbegin
    case xend
    case xtest
    case umonitor
    case umwait
    case tpause
    case rdpkru
    case wrpkru
    case wbnoinvd
    case getsec

    // Vector and x87: state management.
    case fxsave = 512
    case fxrstor
    case xsave
    case xsaveopt
    case xsavec
    case xsaves
    case xrstor
    case xrstors
    case ldmxcsr
    case stmxcsr
    case emms
    case vzeroupper
    case vzeroall

    // x87, in the order of the table.
    case fadd = 544
    case fmul, fcom, fcomp, fsub, fsubr, fdiv, fdivr, fiadd, fimul, ficom, ficomp, fisub, fisubr, fidiv, fidivr, fld,
        fst, fstp, fldenv, fldcw, fnstenv, fnstcw, fild, fisttp, fist, fistp, frstor, fnsave, fnstsw, fbld, fbstp,
        faddp, fmulp, fsubrp, fsubp, fdivrp, fdivp, fxch, fnop, fstpnce, fchs, fabs, ftst, fxam, fld1, fldl2t, fldl2e,
        fldpi, fldlg2, fldln2, fldz, f2xm1, fyl2x, fptan, fpatan, fxtract, fprem1, fdecstp, fincstp, fprem, fyl2xp1,
        fsqrt, fsincos, frndint, fscale, fsin, fcos, fcmovb, fcmove, fcmovbe, fcmovu, fcmovnb, fcmovne, fcmovnbe,
        fcmovnu, fucomi, fcomi, fucomip, fcomip, fucompp, fneni, fndisi, fnclex, fninit, fnsetpm, ffree, fucom, fucomp,
        fcompp, ffreep, fwait

    // MMX and SSE, then their VEX forms, AVX2 and FMA.
    case cvtpi2ps = 640
    case cvtpi2pd, cvttps2pi, cvttpd2pi, cvtps2pi, cvtpd2pi, punpcklbw, punpcklwd, punpckldq, packsswb, pcmpgtb,
        pcmpgtw, pcmpgtd, packuswb, punpckhbw, punpckhwd, punpckhdq, packssdw, pcmpeqb, pcmpeqw, pcmpeqd, pmullw,
        psubusb, psubusw, pand, paddusb, paddusw, pandn, pmulhw, psubsb, psubsw, por, paddsb, paddsw, pxor, pmaddwd,
        psubb, psubw, psubd, paddb, paddw, paddd, pminub, pmaxub, pavgb, pavgw, pmulhuw, pminsw, pmaxsw, psadbw, paddq,
        pmuludq, psubq, psrlw, psrld, psrlq, psraw, psrad, psllw, pslld, psllq, movd, movq, movq2dq, movdq2q, pshufw,
        pinsrw, pextrw, pmovmskb, movntq, maskmovq, pshufb, phaddw, phaddd, phaddsw, pmaddubsw, phsubw, phsubd,
        phsubsw, psignb, psignw, psignd, pmulhrsw, pabsb, pabsw, pabsd, palignr, movups, movlps, movhps, unpcklps,
        unpckhps, movaps, movntps, movmskps, andps, andnps, orps, xorps, shufps, movupd, movlpd, movhpd, unpcklpd,
        unpckhpd, movapd, movntpd, movmskpd, andpd, andnpd, orpd, xorpd, shufpd, movhlps, movlhps, movss, cvtsi2ss,
        cvttss2si, cvtss2si, movsd, cvtsi2sd, cvttsd2si, cvtsd2si, movsldup, movshdup, ucomiss, ucomisd, comiss,
        comisd, sqrtps, sqrtpd, sqrtss, sqrtsd, addps, addpd, addss, addsd, mulps, mulpd, mulss, mulsd, subps, subpd,
        subss, subsd, minps, minpd, minss, minsd, divps, divpd, divss, divsd, maxps, maxpd, maxss, maxsd, rsqrtps,
        rsqrtss, rcpps, rcpss, cvtps2pd, cvtpd2ps, cvtss2sd, cvtsd2ss, cvtdq2ps, cvtps2dq, cvttps2dq, cvttpd2dq,
        cvtdq2pd, cvtpd2dq, cmpps, cmppd, cmpss, cmpsd, haddpd, haddps, hsubpd, hsubps, addsubpd, addsubps, lddqu,
        movntdq, movddup, punpcklqdq, punpckhqdq, psrldq, pslldq, movdqa, movdqu, pshufd, pshufhw, pshuflw, maskmovdqu,
        pblendvb, blendvps, blendvpd, ptest, pmovsxbw, pmovzxbw, pmovsxbd, pmovzxbd, pmovsxbq, pmovzxbq, pmovsxwd,
        pmovzxwd, pmovsxwq, pmovzxwq, pmovsxdq, pmovzxdq, pmuldq, pcmpeqq, packusdw, pminsb, pminsd, pminuw, pminud,
        pmaxsb, pmaxsd, pmaxuw, pmaxud, pmulld, pcmpgtq, movntdqa, phminposuw, sha1nexte, sha1msg1, sha1msg2,
        sha256rnds2, sha256msg1, sha256msg2, aesimc, aesenc, aesenclast, aesdec, aesdeclast, sha1rnds4,
        aeskeygenassist, roundps, roundpd, roundss, roundsd, blendps, blendpd, pblendw, pextrb, pextrd, pextrq,
        extractps, pinsrb, insertps, pinsrd, pinsrq, dpps, dppd, mpsadbw, pclmulqdq, pcmpestrm, pcmpestri, pcmpistrm,
        pcmpistri, vmovups, vmovlps, vmovhps, vunpcklps, vunpckhps, vmovaps, vmovntps, vmovmskps, vandps, vandnps,
        vorps, vxorps, vshufps, vmovupd, vmovlpd, vmovhpd, vunpcklpd, vunpckhpd, vmovapd, vmovntpd, vmovmskpd, vandpd,
        vandnpd, vorpd, vxorpd, vshufpd, vmovhlps, vmovlhps, vmovss, vcvtsi2ss, vcvttss2si, vcvtss2si, vmovsd,
        vcvtsi2sd, vcvttsd2si, vcvtsd2si, vmovsldup, vmovshdup, vucomiss, vucomisd, vcomiss, vcomisd, vsqrtps, vsqrtpd,
        vsqrtss, vsqrtsd, vaddps, vaddpd, vaddss, vaddsd, vmulps, vmulpd, vmulss, vmulsd, vsubps, vsubpd, vsubss,
        vsubsd, vminps, vminpd, vminss, vminsd, vdivps, vdivpd, vdivss, vdivsd, vmaxps, vmaxpd, vmaxss, vmaxsd,
        vrsqrtps, vrsqrtss, vrcpps, vrcpss, vcvtps2pd, vcvtpd2ps, vcvtss2sd, vcvtsd2ss, vcvtdq2ps, vcvtps2dq,
        vcvttps2dq, vcvttpd2dq, vcvtdq2pd, vcvtpd2dq, vcmpps, vcmppd, vcmpss, vcmpsd, vhaddpd, vhaddps, vhsubpd,
        vhsubps, vaddsubpd, vaddsubps, vlddqu, vmovntdq, vmovddup, vpunpcklbw, vpunpcklwd, vpunpckldq, vpacksswb,
        vpcmpgtb, vpcmpgtw, vpcmpgtd, vpackuswb, vpunpckhbw, vpunpckhwd, vpunpckhdq, vpackssdw, vpcmpeqb, vpcmpeqw,
        vpcmpeqd, vpmullw, vpsubusb, vpsubusw, vpand, vpaddusb, vpaddusw, vpandn, vpmulhw, vpsubsb, vpsubsw, vpor,
        vpaddsb, vpaddsw, vpxor, vpmaddwd, vpsubb, vpsubw, vpsubd, vpaddb, vpaddw, vpaddd, vpunpcklqdq, vpunpckhqdq,
        vpminub, vpmaxub, vpavgb, vpavgw, vpmulhuw, vpminsw, vpmaxsw, vpsadbw, vpaddq, vpmuludq, vpsubq, vpsrlw,
        vpsrld, vpsrlq, vpsraw, vpsrad, vpsllw, vpslld, vpsllq, vpsrldq, vpslldq, vmovd, vmovq, vmovdqa, vmovdqu,
        vpshufd, vpshufhw, vpshuflw, vpinsrw, vpextrw, vpmovmskb, vmaskmovdqu, vldmxcsr, vstmxcsr, vpshufb, vphaddw,
        vphaddd, vphaddsw, vpmaddubsw, vphsubw, vphsubd, vphsubsw, vpsignb, vpsignw, vpsignd, vpmulhrsw, vpabsb,
        vpabsw, vpabsd, vptest, vpmovsxbw, vpmovzxbw, vpmovsxbd, vpmovzxbd, vpmovsxbq, vpmovzxbq, vpmovsxwd, vpmovzxwd,
        vpmovsxwq, vpmovzxwq, vpmovsxdq, vpmovzxdq, vpmuldq, vpcmpeqq, vpackusdw, vpminsb, vpminsd, vpminuw, vpminud,
        vpmaxsb, vpmaxsd, vpmaxuw, vpmaxud, vpmulld, vpcmpgtq, vmovntdqa, vphminposuw, vaesimc, vaesenc, vaesenclast,
        vaesdec, vaesdeclast, vpalignr, vaeskeygenassist, vroundps, vroundpd, vroundss, vroundsd, vblendps, vblendpd,
        vpblendw, vpextrb, vpextrd, vpextrq, vextractps, vpinsrb, vinsertps, vpinsrd, vpinsrq, vdpps, vdppd, vmpsadbw,
        vpclmulqdq, vpcmpestrm, vpcmpestri, vpcmpistrm, vpcmpistri, vpermilps, vpermilpd, vtestps, vtestpd,
        vbroadcastss, vbroadcastsd, vbroadcastf128, vmaskmovps, vmaskmovpd, vperm2f128, vinsertf128, vextractf128,
        vblendvps, vblendvpd, vpblendvb, vcvtps2ph, vcvtph2ps, vpermps, vpermd, vpbroadcastd, vpbroadcastq,
        vpbroadcastb, vpbroadcastw, vbroadcasti128, vpsrlvd, vpsrlvq, vpsllvd, vpsllvq, vpsravd, vpmaskmovd,
        vpmaskmovq, vpgatherdd, vpgatherdq, vpgatherqd, vpgatherqq, vgatherdps, vgatherdpd, vgatherqps, vgatherqpd,
        vpermq, vpermpd, vpblendd, vinserti128, vextracti128, vperm2i128, vfmaddsub132ps, vfmaddsub132pd,
        vfmsubadd132ps, vfmsubadd132pd, vfmadd132ps, vfmadd132pd, vfmadd132ss, vfmadd132sd, vfmsub132ps, vfmsub132pd,
        vfmsub132ss, vfmsub132sd, vfnmadd132ps, vfnmadd132pd, vfnmadd132ss, vfnmadd132sd, vfnmsub132ps, vfnmsub132pd,
        vfnmsub132ss, vfnmsub132sd, vfmaddsub213ps, vfmaddsub213pd, vfmsubadd213ps, vfmsubadd213pd, vfmadd213ps,
        vfmadd213pd, vfmadd213ss, vfmadd213sd, vfmsub213ps, vfmsub213pd, vfmsub213ss, vfmsub213sd, vfnmadd213ps,
        vfnmadd213pd, vfnmadd213ss, vfnmadd213sd, vfnmsub213ps, vfnmsub213pd, vfnmsub213ss, vfnmsub213sd,
        vfmaddsub231ps, vfmaddsub231pd, vfmsubadd231ps, vfmsubadd231pd, vfmadd231ps, vfmadd231pd, vfmadd231ss,
        vfmadd231sd, vfmsub231ps, vfmsub231pd, vfmsub231ss, vfmsub231sd, vfnmadd231ps, vfnmadd231pd, vfnmadd231ss,
        vfnmadd231sd, vfnmsub231ps, vfnmsub231pd, vfnmsub231ss, vfnmsub231sd
}

extension Operation {
    public static let firstSystem: UInt16 = 256
    public static let firstVector: UInt16 = 512
}

/** The floating-point status and control register: Power ISA 2.07 Book I, 4.2.2. */
import type { Expr, Semantics } from '../semantics.ts';

export const FPSCR = {
  FX: 0x8000_0000 | 0,
  FEX: 0x4000_0000,
  VX: 0x2000_0000,
  OX: 0x1000_0000,
  UX: 0x0800_0000,
  ZX: 0x0400_0000,
  XX: 0x0200_0000,
  VXSNAN: 0x0100_0000,
  VXISI: 0x0080_0000,
  VXIDI: 0x0040_0000,
  VXZDZ: 0x0020_0000,
  VXIMZ: 0x0010_0000,
  VXVC: 0x0008_0000,
  FR: 0x0004_0000,
  FI: 0x0002_0000,
  FPRF: 0x0001_f000,
  FPCC: 0x0000_f000,
  VXSOFT: 0x400,
  VXSQRT: 0x200,
  VXCVI: 0x100,
  VE: 0x80,
  OE: 0x40,
  UE: 0x20,
  ZE: 0x10,
  XE: 0x08,
  RN: 0x03,
} as const;

/** All causes of an invalid operation. */
export const INVALID = 0x01f8_0700;
/** All bits that stay until they are cleared; each one that becomes 1 sets FX. */
export const EXCEPTIONS = FPSCR.OX | FPSCR.UX | FPSCR.ZX | FPSCR.XX | INVALID;

/** The register with its summaries VX and FEX as its other bits make them. */
export function summarised(s: Semantics, fpscr: Expr): Expr {
  const plain = s.let(s.and(fpscr, ~(FPSCR.VX | FPSCR.FEX)));
  const withInvalid = s.let(s.or(plain, s.select(s.and(plain, INVALID), FPSCR.VX, 0)));
  // VX OX UX ZX XX stand in the order of their enables.
  const enabled = s.and(s.and(s.shrUnsigned(withInvalid, 25), s.shrUnsigned(withInvalid, 3)), 31);
  return s.or(withInvalid, s.select(enabled, FPSCR.FEX, 0));
}

/** The register with exceptions added. `causes` is pinned. */
export function raised(s: Semantics, fpscr: Expr, causes: Expr): Expr {
  const before = s.let(fpscr);
  const fx = s.select(s.and(causes, s.not(before)), FPSCR.FX, 0);
  return summarised(s, s.or(s.or(before, causes), fx));
}

/** The class and sign of a pinned double as FPRF has them, in place. */
export function resultFlags(s: Semantics, bits: Expr): Expr {
  const magnitude = s.let(s.and(bits, s.i64(0x7fff_ffff_ffff_ffffn)));
  const negative = s.let(s.ltSigned(bits, s.i64(0)));
  const finite = s.select(
    s.ltUnsigned(magnitude, s.i64(0x0010_0000_0000_0000n)),
    s.select(negative, 0x18, 0x14),
    s.select(negative, 0x08, 0x04),
  );
  const zero = s.select(negative, 0x12, 0x02);
  const infinite = s.select(negative, 0x09, 0x05);
  const number = s.select(s.eqz(magnitude), zero, finite);
  const INFINITY = 0x7ff0_0000_0000_0000n;
  const large = s.select(s.eq(magnitude, s.i64(INFINITY)), infinite, s.i32(0x11));
  return s.shl(s.select(s.geUnsigned(magnitude, s.i64(INFINITY)), large, number), 12);
}

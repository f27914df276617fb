/** Return codes of hypercalls (PAPR, the reference's hvcall.h). */
export const H = {
  SUCCESS: 0,
  PARAMETER: -4,
  PTEG_FULL: -6,
  NOT_FOUND: -7,
  RESOURCE: -16,
  RESCINDED: -52,
  P2: -55,
  P3: -56,
  P4: -57,
  UNSUPPORTED_FLAG_63: -319,
} as const;

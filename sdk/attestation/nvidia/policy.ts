/** What a policy may ask of NVIDIA GPUs: its section `devices.nvidia`. */

/** A machine has eight or sixteen; a rack's domain 72. */
export const MAX_GPUS = 128

export interface NvidiaPolicy {
  /** How many, exactly. */
  readonly count?: number
  /** Chips, as their certificates name them: `GH100` is in an H100, H200 and GH200, `GB100` in a B200. */
  readonly models?: readonly string[]
  /** Driver versions, e.g. `570.172.08`. */
  readonly drivers?: readonly string[]
  /** VBIOS versions, e.g. `96.00.CF.00.02`. */
  readonly vbios?: readonly string[]
  /**
   * `local`, the default: the GPUs' own evidence; what was measured is not compared with NVIDIA's reference values.
   * `nras`: besides, the verdict of NVIDIA's Remote Attestation Service, which compares them.
   */
  readonly appraisal?: 'local' | 'nras'
}

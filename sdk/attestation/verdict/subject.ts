/** What a verdict is about, in the words that its sentence is made of. */

/** The machine that the evidence is about. */
export interface Machine {
  /** Goes after "a genuine", e.g. `AMD SEV-SNP virtual machine`. */
  readonly name: string
  /** On whose word, if that is not the hardware's own signature: `Google`. */
  readonly vouchedBy?: string
  /** Why others may read what is in it although every check passed: goes after "a machine that". */
  readonly exposed?: string | undefined
}

/** The program that runs there, as evidence tells one from another. Hexadecimal, lower case. */
export interface Running {
  /** SHA-256 of the image, or of what names the containers that may run. */
  readonly digest?: string | undefined
  /** SEV-SNP: the launch measurement, and what the host gave at launch, unless that is nothing. */
  readonly snp?: { readonly measurement: string; readonly hostData: string | undefined }
  readonly tdx?: { readonly mrtd: string; readonly rtmr1: string; readonly rtmr2: string }
}

/** The program that runs there, and how it is known. */
export type Software =
  /** A repository's workflow built it, from this git reference, e.g. `refs/tags/v1.0.0`. */
  | { readonly known: 'built'; readonly repository: string; readonly ref: string }
  /** The policy pins its digest or measurement. */
  | { readonly known: 'pinned' }
  /** The policy accepts any. */
  | { readonly known: 'any' }

/** Devices that have proven themselves beside the machine. */
export interface Devices {
  readonly vendor: string
  /** E.g. `GPU`. */
  readonly kind: string
  readonly count: number
  /** Each name once, e.g. `H100`. */
  readonly models: readonly string[]
}

/** The section `sev-snp` of a policy. */
import { count, flag, hex, list, matching, object, oneOf, someOf, text } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'
import type { SnpProduct } from './report.ts'

/** Parts of an SEV-SNP TCB version, each at least. */
export interface SnpTcb {
  readonly fmc?: number
  readonly bootloader?: number
  readonly tee?: number
  readonly snp?: number
  readonly microcode?: number
}

/** PLATFORM_INFO: what the host's firmware has switched on. What is left out may be either. */
export interface SnpPlatformInfo {
  readonly smt?: boolean
  /** Transparent memory encryption (TSME). */
  readonly memoryEncryption?: boolean
  readonly ecc?: boolean
  readonly raplDisabled?: boolean
  readonly ciphertextHiding?: boolean
  /** The firmware found no memory that answers to two addresses. */
  readonly aliasCheck?: boolean
}

/** Whose endorsement of Azure's utility VM is accepted in place of its measurement. Left out, each is Microsoft's. */
export interface UtilityVmPolicy {
  /** `did:x509:0:sha256:…::eku:…` each. */
  readonly issuers?: readonly string[]
  readonly feeds?: readonly string[]
  /** Least security version that is endorsed. */
  readonly minimumSvn?: number
}

/** Hexadecimal throughout. Lists hold alternatives. */
export interface SnpPolicy {
  readonly measurements?: readonly string[]
  readonly hostData?: readonly string[]
  /** The measurement covers the program whatever the host gave at launch. Not so on Azure. */
  readonly anyHostData?: boolean
  /**
   * In place of `measurements`: the launch is that of a utility VM which its maker endorses. `hostData` names the
   * containers.
   */
  readonly utilityVm?: UtilityVmPolicy
  /** 48 bytes each: who signed the guest's identity block, and who vouched for that key. */
  readonly idKeyDigests?: readonly string[]
  readonly authorKeyDigests?: readonly string[]
  /** 16 bytes each, from the identity block. */
  readonly familyIds?: readonly string[]
  readonly imageIds?: readonly string[]
  /** 64 bytes each. */
  readonly chipIds?: readonly string[]
  /** The guest policy as a number, 8 bytes, the most significant first. */
  readonly guestPolicies?: readonly string[]
  readonly minimumTcb?: SnpTcb
  readonly minimumGuestSvn?: number
  /** The least privileged level accepted; 0 where left out. */
  readonly maximumVmpl?: number
  readonly products?: readonly SnpProduct[]
  readonly platformInfo?: SnpPlatformInfo
  /**
   * AMD's revocation list: `if-given` looks at lists that come with the document, the options or this policy;
   * `required` refuses evidence without one; `fetch` asks AMD. `if-given` where left out.
   */
  readonly revocation?: 'if-given' | 'required' | 'fetch'
  /** Revocation lists, DER in base64. */
  readonly revocationLists?: readonly string[]
  /** Believes lists whose next update is overdue. */
  readonly allowStaleRevocationLists?: boolean
  readonly allowDebug?: boolean
  readonly allowMigration?: boolean
}

/** Issuers named by the fingerprint of their root, and what their certificate is for. */
export const DID_X509 = /^did:x509:0:sha256:([\w-]{43})::eku:(\d+(?:\.\d+){2,20})$/
const part = count(0xff)

export const snpSection: PolicySection<SnpPolicy> = {
  tee: 'sev-snp',
  form: object({
    measurements: list(hex(48)),
    hostData: list(hex(32)),
    anyHostData: flag,
    utilityVm: object({ issuers: list(matching(DID_X509)), feeds: list(text), minimumSvn: count(0xffffffff) }),
    idKeyDigests: list(hex(48)),
    authorKeyDigests: list(hex(48)),
    familyIds: list(hex(16)),
    imageIds: list(hex(16)),
    chipIds: list(hex(64)),
    guestPolicies: list(hex(8)),
    minimumTcb: someOf({ fmc: part, bootloader: part, tee: part, snp: part, microcode: part }),
    minimumGuestSvn: count(0xffffffff),
    // Reports that the host asked for itself say 2^32 - 1.
    maximumVmpl: oneOf(0, 1, 2, 3),
    products: list(oneOf('Milan', 'Genoa', 'Turin')),
    platformInfo: someOf({
      smt: flag,
      memoryEncryption: flag,
      ecc: flag,
      raplDisabled: flag,
      ciphertextHiding: flag,
      aliasCheck: flag
    }),
    revocation: oneOf('if-given', 'required', 'fetch'),
    revocationLists: list(matching(/^[A-Za-z\d+/]+={0,2}$/)),
    allowStaleRevocationLists: flag,
    allowDebug: flag,
    allowMigration: flag
  }),
  unpinned ({ measurements = [], utilityVm, hostData = [] }, built) {
    if (measurements.length > 0 || built) return undefined
    // Host data alone is the host's choice. Everybody's containers run in the same utility VM.
    if (!utilityVm) return 'measurements, or utilityVm and hostData'
    return hostData.length > 0 ? undefined : 'hostData beside utilityVm'
  }
}

/** What a report says of guest and host, against the policy. */
import { isZero, toHex } from '../bytes.ts'
import { check, formedCheck, oneOfCheck, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import { hardwareBound, hardwareFreshness } from '../context.ts'
import type { VerifierContext } from '../context.ts'
import type { Machine, Running } from '../verdict/subject.ts'
import type { SnpPlatformInfo, SnpPolicy } from './policy.ts'
import type { SnpReport } from './report.ts'

/** Bits of the guest policy (AMD 56860, table "Guest Policy"). */
const MUST_BE_ONE = 1n << 17n
const MIGRATION = 1n << 18n
const DEBUG = 1n << 19n
/** The first bit that no published firmware defines, and all above it must be zero. */
const FIRST_RESERVED = 26n

/** Bits of PLATFORM_INFO (table ATTESTATION_REPORT). */
const PLATFORM_BITS: Readonly<Record<keyof SnpPlatformInfo, bigint>> = {
  smt: 0n,
  memoryEncryption: 1n,
  ecc: 2n,
  raplDisabled: 3n,
  ciphertextHiding: 4n,
  aliasCheck: 5n
}

export function machineOf ({ policy }: SnpReport): Machine {
  const exposed = (policy & DEBUG) !== 0n
    ? 'its host can look into'
    : (policy & MIGRATION) !== 0n ? 'a migration agent can copy' : undefined
  return { name: 'AMD SEV-SNP virtual machine', exposed }
}

export function runningOf ({ measurement, hostData }: SnpReport): Running {
  const given = isZero(hostData) ? undefined : toHex(hostData)
  return { digest: given, snp: { measurement: toHex(measurement), hostData: given } }
}

export function contentChecks (context: VerifierContext, policy: SnpPolicy, report: SnpReport): Check[] {
  const { minimumGuestSvn, maximumVmpl = 0 } = policy
  const [debug, migration] = [(report.policy & DEBUG) !== 0n, (report.policy & MIGRATION) !== 0n]
  return [
    hardwareBound(context, report.reportData),
    hardwareFreshness(context),
    guestPolicyCheck(report, policy),
    check('debug', !debug || policy.allowDebug === true, `The guest policy ${debug ? 'allows' : 'forbids'} debugging`),
    check(
      'migration',
      !migration || policy.allowMigration === true,
      `The guest policy ${migration ? 'allows' : 'forbids'} a migration agent`
    ),
    oneOfCheck('measurement', 'The launch measurement', policy.measurements, toHex(report.measurement)),
    hostDataCheck(context, report, policy),
    oneOfCheck('id-key', 'The digest of the identity key', policy.idKeyDigests, toHex(report.idKeyDigest)),
    oneOfCheck('author-key', 'The digest of the author key', policy.authorKeyDigests, toHex(report.authorKeyDigest)),
    oneOfCheck('family', 'The family', policy.familyIds, toHex(report.familyId)),
    oneOfCheck('image', 'The image', policy.imageIds, toHex(report.imageId)),
    check(
      'vmpl',
      report.vmpl <= maximumVmpl,
      `The report was asked for at privilege level ${report.vmpl}, at most ${maximumVmpl} is accepted`
    ),
    minimumGuestSvn === undefined
      ? skipped('guest-svn', `The guest's security version is ${report.guestSvn}; the policy accepts any`)
      : check(
        'guest-svn',
        report.guestSvn >= minimumGuestSvn,
        `The guest's security version is ${report.guestSvn}, at least ${minimumGuestSvn} is expected`
      ),
    oneOfCheck('chip', 'The chip', policy.chipIds, toHex(report.chipId)),
    platformInfoCheck(report, policy.platformInfo)
  ]
}

function guestPolicyCheck ({ policy: value }: SnpReport, policy: SnpPolicy): Check {
  const name = 'guest-policy'
  const text = value.toString(16).padStart(16, '0')
  if ((value & MUST_BE_ONE) === 0n) return check(name, false, `The guest policy is ${show(text)}: bit 17 must be set`)
  if (value >> FIRST_RESERVED !== 0n) {
    return check(name, false, `The guest policy is ${show(text)}: reserved bits are set`)
  }
  return formedCheck(name, 'The guest policy', policy.guestPolicies, text)
}

/**
 * A measurement may be that of a utility VM that everybody on that cloud runs, as on Azure: host data then names the
 * program. So what the host gave has to be pinned, or said to be of no matter.
 */
function hostDataCheck ({ built }: VerifierContext, { hostData }: SnpReport, policy: SnpPolicy): Check {
  const name = 'host-data'
  if (built && !policy.hostData) {
    return skipped(name, `The host data is ${show(toHex(hostData))}; provenance is to cover it`)
  }
  if (policy.hostData || policy.anyHostData || policy.measurements === undefined || isZero(hostData)) {
    return oneOfCheck(name, 'The host data', policy.hostData, toHex(hostData))
  }
  return check(
    name,
    false,
    `The host data is ${show(toHex(hostData))}, and the policy pins a measurement only: on Azure, the ` +
      'measurement is everybody\'s. Give hostData, or say "anyHostData": true'
  )
}

function platformInfoCheck ({ platformInfo }: SnpReport, pinned: SnpPlatformInfo | undefined): Check {
  const name = 'platform-info'
  const members = Object.keys(PLATFORM_BITS) as Array<keyof SnpPlatformInfo>
  const isSet = (member: keyof SnpPlatformInfo) => ((platformInfo >> PLATFORM_BITS[member]) & 1n) === 1n
  const text = `The host has ${members.filter(isSet).join(', ') || 'nothing'} switched on`
  if (!pinned) return skipped(name, `${text}; the policy accepts any`)
  const different = members.filter(member => pinned[member] !== undefined && pinned[member] !== isSet(member))
  return check(
    name,
    different.length === 0,
    `${text}${different.length > 0 ? `: not as the policy says in ${different.join(', ')}` : ''}`
  )
}

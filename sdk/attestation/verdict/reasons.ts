/** What a failed check means, for people who do not know the words of the field: goes after "because". */
import type { Check } from '../checks.ts'

const REASONS: Readonly<Record<string, readonly string[]>> = {
  'its answer is not about this question, and could be a recording': ['nonce', 'gpu-nonce', 'nras-nonce'],
  'its evidence is not of now': ['freshness', 'validity', 'nras-validity'],
  'nothing shows that the keys it offers are those of the machine': ['keys', 'binding', 'bound'],
  'the policy does not accept this kind of machine': [
    'platform', 'attestation-type', 'hardware', 'product', 'chip', 'platform-model', 'platform-info'
  ],
  'its evidence is not what genuine hardware or its vendor signed': [
    'evidence', 'signature', 'issuer', 'audience', 'root', 'claims', 'report', 'report-signature', 'certificate-chain',
    'certificate-validity', 'certificate-matches-report', 'quote', 'collateral', 'collateral-number', 'quoting-enclave',
    'quoting-enclave-vendor', 'endorsement'
  ],
  'the vendor has revoked the key that signed its evidence, or nothing shows that it has not': ['revocation'],
  'the hardware or its firmware lacks security updates': ['tcb', 'tee-tcb-svn', 'guest-svn'],
  'it can be looked into or moved from outside': [
    'debug', 'migration', 'sept-ve', 'service-td', 'vmpl', 'guest-policy'
  ],
  'it was not started in the way that keeps others out': [
    'software', 'secure-boot', 'support', 'compliance', 'module', 'mrseam', 'attributes', 'xfam'
  ],
  'it runs other software than the policy names': [
    'image', 'measurement', 'host-data', 'utility-vm', 'id-key', 'author-key', 'family', 'mrconfigid', 'mrowner',
    'mrownerconfig'
  ],
  'its operator is not the one that the policy names, or has changed its settings': [
    'project', 'service-account', 'environment', 'command', 'provider-policy', 'vm-id'
  ],
  'its settings take back protections that the policy demands': ['weakenings'],
  'nothing shows which source its software was built from': [
    'provenance-bundle', 'provenance-signature', 'provenance-log', 'provenance-payload', 'provenance-statement',
    'provenance-predicate', 'provenance-measurements'
  ],
  'its software was not built from the source that the policy names': [
    'provenance-issuer', 'provenance-repository', 'provenance-workflow', 'provenance-ref', 'provenance-subject',
    'provenance-launch'
  ],
  'its software was built before the time that the policy names': ['provenance-time'],
  'its GPUs are not shown to be genuine': [
    'gpu-evidence', 'gpu-certificates', 'gpu-signature', 'gpu-firmware', 'gpu-distinct', 'devices'
  ],
  'its GPUs are not those that the policy names': ['gpu-count', 'gpu-model', 'gpu-driver', 'gpu-vbios'],
  'NVIDIA does not vouch for its GPUs': [
    'nras-answer', 'nras-signature', 'nras-parts', 'nras-result', 'nras-measurements', 'nras-debug', 'nras-secure-boot',
    'nras-claims', 'nras-devices', 'gpu-measurements'
  ]
}

const BY_CHECK: ReadonlyMap<string, string> = new Map(
  Object.entries(REASONS).flatMap(([reason, names]) => names.map(name => [name, reason] as const))
)

/** In the words of this table, or, for a check of a custom verifier, in its own. */
export function reasonFor ({ name, detail }: Check): string {
  return BY_CHECK.get(name) ?? `${name} failed (${detail})`
}

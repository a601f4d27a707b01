/** Evidence, wherever it comes from, and the gate that it keeps open. */
import { builtIn } from '../../platforms/registry.ts'
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const attestation = {
  attestationType: {
    env: `${PREFIX}ATTESTATION_TYPE`,
    type: 'string',
    enum: ['auto', ...builtIn.attesterTypes.map(({ name }) => name)],
    default: 'auto',
    shownBy: 'evidence',
    description: 'Platform whose evidence proves the keys to clients. `auto` takes the one that it finds on the ' +
      'machine, else `none`. `simulated` proves nothing and is for development.'
  },

  attestationRequired: {
    env: `${PREFIX}ATTESTATION_REQUIRED`,
    type: 'boolean',
    default: false,
    description: 'Forward nothing without current evidence: requests get 503, and `/readyz` names the reason.'
  },

  attestationGrace: {
    env: `${PREFIX}ATTESTATION_GRACE`,
    type: 'string',
    format: 'duration',
    default: '15m',
    description: 'How long expired evidence still keeps the gate open while it cannot be renewed.'
  },

  attestationOnClose: {
    env: `${PREFIX}ATTESTATION_ON_CLOSE`,
    type: 'string',
    enum: ['finish', 'end'],
    default: 'finish',
    description: 'What happens to exchanges in flight when the gate closes: they `finish`, or they `end` at once.'
  },

  attestationRenewal: {
    env: `${PREFIX}ATTESTATION_RENEWAL`,
    type: 'string',
    format: 'duration',
    default: '10m',
    description: 'Longest time from one renewal of the evidence to the next. Evidence that names no expiry expires ' +
      'after twice that.'
  },

  attestationCache: {
    env: `${PREFIX}ATTESTATION_CACHE`,
    type: 'string',
    format: 'duration',
    default: '60s',
    description: 'How long requests without a nonce share one document.'
  },

  attestationRateLimit: {
    env: `${PREFIX}ATTESTATION_RATE_LIMIT`,
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 60,
    description: 'Maximum requests for evidence per minute and client address. More get 429.'
  },

  attestationPolicyFile: {
    env: `${PREFIX}ATTESTATION_POLICY_FILE`,
    type: 'string',
    isFile: true,
    description: 'A policy as clients use it (JSON). The proxy appraises its own evidence by it, and the gate stays ' +
      'closed if the policy refuses it.'
  },

  attestationDevices: {
    env: `${PREFIX}ATTESTATION_DEVICES`,
    type: 'string',
    format: 'device-source',
    shownBy: 'evidence',
    description: 'What to ask for the evidence of GPUs: an HTTP service, or a command that is run without a shell. ' +
      '`{nonce}` in it is replaced by the nonce in hexadecimal; without that, the query parameter `nonce` or the ' +
      'option `--nonce` is added. docs/attestation-devices.md has examples.'
  },

  attestationDevicesCount: {
    env: `${PREFIX}ATTESTATION_DEVICES_COUNT`,
    type: 'integer',
    minimum: 1,
    maximum: 128,
    description: 'How many GPUs there are. Evidence of another number counts as none.'
  },

  attestationDevicesTimeout: {
    env: `${PREFIX}ATTESTATION_DEVICES_TIMEOUT`,
    type: 'string',
    format: 'duration',
    default: '20s',
    description: 'How long collecting the evidence of GPUs may take.'
  },

  attestationEndorsements: {
    env: `${PREFIX}ATTESTATION_ENDORSEMENTS`,
    type: 'string',
    isFile: true,
    description: 'Files to hand out with the evidence, separated by commas: Sigstore bundles about the image (JSON, ' +
      'or one in each line), certificates and revocation lists (PEM or DER). Read again when they change.'
  },

  verifyPage: {
    env: `${PREFIX}VERIFY_PAGE`,
    type: 'boolean',
    default: false,
    description: 'Serve the page that verifies a proxy in a browser at `/polaris-container/verify`. A page from the ' +
      'party that is to be verified proves nothing to a sceptic: who doubts takes the file from a release ' +
      '(docs/verify-page.md).'
  }
} as const satisfies SettingsTable

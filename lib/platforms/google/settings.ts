/** Settings of Google Cloud KMS and Confidential Space. */
import { PREFIX } from '../../config/settings/setting.ts'
import type { SettingsTable } from '../../config/settings/setting.ts'

/** Where the launcher of Confidential Space listens. */
export const LAUNCHER_SOCKET = '/run/container_launcher/teeserver.sock'

export const googleSettings = {
  googleProject: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_PROJECT_ID`,
    type: 'string',
    description: 'Project of the key ring.'
  },

  googleLocation: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_LOCATION`,
    type: 'string',
    description: 'Location of the key ring.'
  },

  googleKeyRing: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_RING_ID`,
    type: 'string',
    description: 'Name of the key ring.'
  },

  googleKey: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_ID`,
    type: 'string',
    shownBy: 'keys',
    description: 'Name of the key, purpose `ASYMMETRIC_DECRYPT`, algorithm `RSA_DECRYPT_OAEP_4096_SHA256`.'
  },

  googleAudience: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_AUDIENCE`,
    type: 'string',
    description: 'The workload identity pool provider: `//iam.googleapis.com/projects/…/providers/…`.'
  },

  googleServiceAccount: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY__SERVICE_ACCOUNT`,
    aliases: [`${PREFIX}GOOGLE_FEDERATED_KEY_SERVICE_ACCOUNT`],
    type: 'string',
    format: 'http-url',
    description: 'The full `generateAccessToken` URL of a service account to act as. Without it, the pool\'s ' +
      'principal itself is used.'
  },

  googleKeyVersion: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_VERSION`,
    type: 'string',
    format: 'key-versions',
    default: '1',
    shownBy: 'keys',
    description: 'Versions of the key, newest first.'
  },

  googleTokenFile: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_TOKEN_FILE`,
    type: 'string',
    default: '/run/container_launcher/attestation_verifier_claims_token',
    isFile: true,
    description: 'File in which the launcher keeps the attestation token. The proxy reads it again for every token ' +
      'exchange.'
  },

  googleKmsEndpoint: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_KMS_ENDPOINT`,
    type: 'string',
    format: 'authorities',
    description: 'The KMS, `host` or `host:port`, for private service connect.'
  },

  googleStsEndpoint: {
    env: `${PREFIX}GOOGLE_FEDERATED_KEY_STS_ENDPOINT`,
    type: 'string',
    format: 'http-url',
    description: 'The Security Token Service, if it is not Google\'s public one.'
  },

  attestationAudience: {
    env: `${PREFIX}ATTESTATION_AUDIENCE`,
    type: 'string',
    format: 'audience',
    default: 'polaris-secure-proxy',
    shownBy: 'evidence',
    description: 'google-confidential-space: `aud` of the tokens, which clients pin. Must not be one of Google\'s ' +
      'own audiences, for which a token would be a credential.'
  }
} as const satisfies SettingsTable

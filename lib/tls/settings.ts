/** TLS that ends inside the TEE: where its key comes from, and what is spoken. */
import { PREFIX } from '../config/settings/setting.ts'
import type { SettingsTable } from '../config/settings/setting.ts'
import { acme } from './acme/settings.ts'

export const tls = {
  tls: {
    env: `${PREFIX}TLS`,
    type: 'string',
    enum: ['off', 'attested', 'files', 'acme'],
    default: 'off',
    shownBy: 'keys',
    description: 'A second listener, which ends TLS inside the TEE (docs/tls.md): `attested`, with a key that is ' +
      'made here and covered by the attestation evidence; `acme`, the same with a certificate from an authority; ' +
      '`files`, with a certificate and a key from files.'
  },

  tlsPort: {
    env: `${PREFIX}TLS_PORT`,
    type: 'integer',
    minimum: 0,
    maximum: 65535,
    default: 8443,
    description: 'Port of the TLS listener, at the same address as `PORT`. `0` takes a free one.'
  },

  tlsNames: {
    env: `${PREFIX}TLS_NAMES`,
    type: 'string',
    format: 'tls-names',
    default: 'localhost',
    description: 'The names in the certificate. `attested`: it signs itself, so the names prove nothing; clients go ' +
      'by the key. `acme`: what the authority is asked to certify, required and without wildcards.'
  },

  tlsRotation: {
    env: `${PREFIX}TLS_ROTATION`,
    type: 'string',
    format: 'tls-rotation',
    default: '7d',
    description: '`attested`: how long a key serves before the next replaces it.'
  },

  tlsOverlap: {
    env: `${PREFIX}TLS_OVERLAP`,
    type: 'string',
    format: 'duration',
    default: '1h',
    description: '`attested`, `acme`: for how long the evidence covers a key before it serves, and after the next ' +
      'has replaced it. `attested`: shorter than `POLARIS_CONTAINER_TLS_ROTATION`.'
  },

  tlsCertFile: {
    env: `${PREFIX}TLS_CERT_FILE`,
    type: 'string',
    isFile: true,
    description: '`files`: the certificate and those above it, PEM. Read again when it changes.'
  },

  tlsKeyFile: {
    env: `${PREFIX}TLS_KEY_FILE`,
    type: 'string',
    isFile: true,
    description: '`files`: the private key, PEM. Read again when it changes.'
  },

  tlsFilesSuffice: {
    env: `${PREFIX}TLS_FILES_SUFFICE`,
    type: 'boolean',
    default: false,
    shownBy: 'weakenings',
    description: '`files`: count requests over this TLS as encrypted where encryption is required, although the key ' +
      'was outside of the TEE. Requests over `attested` and `acme` always count.'
  },

  tlsMinVersion: {
    env: `${PREFIX}TLS_MIN_VERSION`,
    type: 'string',
    enum: ['1.2', '1.3'],
    default: '1.3',
    description: 'Oldest version of TLS to accept. 1.2 has no post-quantum key exchange.'
  },

  tlsClientCa: {
    env: `${PREFIX}TLS_CLIENT_CA`,
    type: 'string',
    isFile: true,
    description: 'File with the certificates, PEM, of authorities that vouch for clients. If it is set, a client ' +
      'without a certificate of theirs gets no TLS connection.'
  },

  ...acme
} as const satisfies SettingsTable

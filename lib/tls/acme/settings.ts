/** Certificates from an authority by ACME (RFC 8555). */
import { PREFIX } from '../../config/settings/setting.ts'
import type { SettingsTable } from '../../config/settings/setting.ts'

export const acme = {
  tlsAcmeDirectory: {
    env: `${PREFIX}TLS_ACME_DIRECTORY`,
    type: 'string',
    format: 'acme-directory',
    description: '`acme`: URL of the authority\'s directory, such as ' +
      '`https://acme-v02.api.letsencrypt.org/directory`. Required.'
  },

  tlsAcmeTermsAgreed: {
    env: `${PREFIX}TLS_ACME_TERMS_AGREED`,
    type: 'boolean',
    default: false,
    description: '`acme`: you agree to the authority\'s terms of service. Required if it has any.'
  },

  tlsAcmeChallenge: {
    env: `${PREFIX}TLS_ACME_CHALLENGE`,
    type: 'string',
    enum: ['tls-alpn-01', 'http-01'],
    default: 'tls-alpn-01',
    description: '`acme`: how the authority finds that the names lead here. It connects to port 443, which must lead ' +
      'to `POLARIS_CONTAINER_TLS_PORT` (`tls-alpn-01`), or to port 80, which must lead to `PORT` (`http-01`).'
  },

  tlsAcmeEmail: {
    env: `${PREFIX}TLS_ACME_EMAIL`,
    type: 'string',
    format: 'email',
    description: '`acme`: where the authority may write to about the certificates.'
  },

  tlsAcmeCaFile: {
    env: `${PREFIX}TLS_ACME_CA_FILE`,
    type: 'string',
    isFile: true,
    description: '`acme`: the certificates, PEM, that the directory\'s own TLS is verified with, in place of the ' +
      'public authorities: for a private one.'
  },

  tlsAcmeProfile: {
    env: `${PREFIX}TLS_ACME_PROFILE`,
    type: 'string',
    format: 'acme-name',
    description: '`acme`: which of the authority\'s certificate profiles to ask for, such as `shortlived`.'
  },

  tlsAcmeEabKeyId: {
    env: `${PREFIX}TLS_ACME_EAB_KEY_ID`,
    type: 'string',
    format: 'acme-name',
    description: '`acme`: id of the external account binding key that the authority gave you, if it asks for one.'
  },

  tlsAcmeEabKeyFile: {
    env: `${PREFIX}TLS_ACME_EAB_KEY_FILE`,
    type: 'string',
    isFile: true,
    description: '`acme`: file with that key, base64url. Each start registers an account with it: it has to be one ' +
      'that can be used more than once.'
  }
} as const satisfies SettingsTable

/** Who signed a TDX quote: for each check of root, chain and signatures a quote in which only that check fails. */
import t from 'tap'
import { PLATFORM, chainOf, pem } from '../../../fixtures/intel/authority.ts'
import { collateral } from '../../../fixtures/intel/collateral.ts'
import { below, eachFailsAlone, intel, platform, stranger } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

const day = (text: string) => new Date(`${text}T00:00:00Z`)

const cases: Array<[name: string, check: string, scene: Scene]> = [
  [
    'a root of somebody else\'s', 'root',
    { options: { platforms: { tdx: { roots: [stranger.rootHash], collateral: collateral(intel) } } } }
  ],
  ['Intel\'s own root expected', 'root', { options: { platforms: { tdx: { collateral: collateral(intel) } } } }],
  ['a platform that a stranger certified', 'certificate-chain', { quote: { platform: stranger.platform() } }],
  ['a certificate below the one that signs quotes', 'certificate-chain', {
    quote: {
      chain: pem(below.certificate, platform.certificate, intel.authority.certificate, intel.root.certificate),
      platform: below
    }
  }],
  [
    'a platform as authority for another', 'certificate-chain',
    { quote: { chain: pem(below.certificate, platform.certificate, intel.root.certificate), platform: below } }
  ],
  [
    'a chain without root', 'certificate-chain',
    { quote: { chain: pem(platform.certificate, intel.authority.certificate) } }
  ],
  ['a chain that PEM readers could understand in two ways', 'certificate-chain',
    {
      quote: {
        platform: below,
        chain: pem(below.certificate).replace(
          '-----END', '-----END CERTIFICATE-----BEGIN CERTIFICATE-----\n-----END'
        ) + chainOf(intel, platform)
      }
    }],
  ['the certificate that the audit hid', 'certificate-chain',
    {
      quote: {
        platform: below,
        chain: `${pem(below.certificate)}-----BEGIN CERTIFICATE----- ${pem(
      intel.authority.certificate
    ).slice(28, -27).replaceAll('\n', '')}-----END CERTIFICATE-----${chainOf(intel, platform)}`
      }
    }],
  [
    'carriage returns in PEM', 'certificate-chain',
    { quote: { chain: chainOf(intel, platform).replaceAll('\n', '\r\n') } }
  ],
  ['text before PEM', 'certificate-chain', { quote: { chain: ` ${chainOf(intel, platform)}` } }],
  [
    'a signer of TCB info as authority', 'certificate-chain',
    { quote: { chain: pem(platform.certificate, intel.signer.certificate, intel.root.certificate) } }
  ],
  ['a certificate that is none of a platform', 'certificate-chain', {
    quote: {
      chain: pem(
        intel.party('Intel SGX PCK Certificate', intel.authority).certificate, intel.authority.certificate,
        intel.root.certificate
      )
    }
  }],
  [
    'a platform\'s certificate that has expired', 'certificate-validity',
    { quote: { platform: intel.platform(PLATFORM, { notAfter: day('2026-06-01') }) } }
  ],
  [
    'an enclave\'s report that the platform did not sign', 'quote',
    { quote: { enclaveSigner: stranger.root.privateKey } }
  ],
  ['a quote that the attestation key did not sign', 'quote', { quote: { quoteSigner: platform.privateKey } }],
  ['an attestation key that the enclave does not name', 'quote', { quote: { enclave: [[320, [0]]] } }],
  ['an enclave\'s report with something behind the key', 'quote', { quote: { enclave: [[352, [1]]] } }]
]
eachFailsAlone(t, cases)

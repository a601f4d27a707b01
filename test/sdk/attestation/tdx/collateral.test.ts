/** Intel's collateral: lists, TCB info and identity that are stale, of another, changed, or signed by somebody else. */
import t from 'tap'
import { extension, sequence } from '../../../fixtures/certificates.ts'
import { chainOf } from '../../../fixtures/intel/authority.ts'
import { collateral, level, qeIdentity, tcbInfo } from '../../../fixtures/intel/collateral.ts'
import { eachFailsAlone, intel, platform, revokedPlatform, stranger } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

const day = (text: string) => new Date(`${text}T00:00:00Z`)
const leafSigner = { ...platform }
const critical = extension('551d1c', true, sequence())

/** A genuine list, of the authority that did not certify the platform. */
const other = collateral(
  { ...intel, authority: intel.party('Intel SGX PCK Processor CA', intel.root, { authority: true }) }
)
const listOfOther = { pck_crl: other.pck_crl, pck_crl_issuer_chain: other.pck_crl_issuer_chain }

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['a revoked platform', 'revocation', { collateral: revokedPlatform }],
  ['a revoked authority', 'revocation', { collateral: { rootList: { revoked: [2] } } }],
  ['a revoked signer of TCB info', 'collateral', { collateral: { rootList: { revoked: [3] } } }],
  ['a root list that is stale', 'collateral', { collateral: { rootList: { nextUpdate: day('2026-06-10') } } }],
  ['a platform list that is stale', 'collateral', { collateral: { platformList: { nextUpdate: day('2026-06-10') } } }],
  ['a root list from the future', 'collateral', { collateral: { rootList: { thisUpdate: day('2026-06-11') } } }],
  ['a platform list without a next update', 'collateral', { collateral: { platformList: { nextUpdate: null } } }],
  [
    'a root list that somebody else signed', 'collateral',
    { collateral: { rootList: { signer: intel.authority.privateKey } } }
  ],
  [
    'a platform list that somebody else signed', 'collateral',
    { collateral: { platformList: { signer: intel.root.privateKey } } }
  ],
  ['a partial list', 'collateral', { collateral: { platformList: { extensions: [critical] } } }],
  ['the list of the other authority', 'collateral', { collateralPatch: listOfOther }],
  ['an empty list', 'collateral', { collateralPatch: { pck_crl: '' } }],
  ['a missing list', 'collateral', { collateralPatch: { root_ca_crl: undefined } }],
  ['stale TCB info', 'collateral', { collateral: { tcbInfo: tcbInfo({ nextUpdate: '2026-06-10T00:00:00Z' }) } }],
  [
    'TCB info from the future', 'collateral',
    { collateral: { tcbInfo: tcbInfo({ issueDate: '2026-06-11T00:00:00Z' }) } }
  ],
  [
    'a stale identity', 'collateral', { collateral: { qeIdentity: qeIdentity({ nextUpdate: '2026-06-10T00:00:00Z' }) } }
  ],
  [
    'an identity from the future', 'collateral',
    { collateral: { qeIdentity: qeIdentity({ issueDate: '2026-06-11T00:00:00Z' }) } }
  ],
  [
    'TCB info that is due at no time', 'collateral',
    { collateral: { tcbInfo: tcbInfo({ nextUpdate: '2027-00-00T29:00:00Z' }) } }
  ],
  ['TCB info of SGX', 'collateral', { collateral: { tcbInfo: tcbInfo({ id: 'SGX' }) } }],
  ['the identity of another enclave', 'collateral', { collateral: { qeIdentity: qeIdentity({ id: 'QE' }) } }],
  ['a status that nobody knows', 'collateral', { collateral: { tcbInfo: tcbInfo({ tcbLevels: [level('Fine')] }) } }],
  ['a level with 15 components', 'collateral', {
    collateral: {
      tcbInfo: tcbInfo(
        { tcbLevels: [{ ...level('UpToDate'), tcb: { ...level('UpToDate').tcb, tdxtcbcomponents: [] } }] }
      )
    }
  }],
  [
    'changed TCB info', 'collateral',
    { collateralPatch: { tcb_info: JSON.stringify(tcbInfo({ tcbEvaluationDataNumber: 20 })) } }
  ],
  [
    'a changed identity', 'collateral',
    { collateralPatch: { qe_identity: JSON.stringify(qeIdentity({ isvprodid: 3 })) } }
  ],
  ['TCB info that a platform\'s key signed', 'collateral', { collateral: { signer: leafSigner } }],
  ['TCB info that an authority signed', 'collateral', { collateral: { signer: intel.authority } }],
  [
    'TCB info that another key below the root signed', 'collateral',
    { collateral: { signer: intel.party('Somebody', intel.root) } }
  ],
  ['TCB info that a stranger signed', 'collateral', { collateral: { signer: stranger.signer } }],
  [
    'a chain that is not the quote\'s', 'collateral',
    { collateralPatch: { pck_certificate_chain: chainOf(intel, intel.platform()) } }
  ],
  [
    'no collateral', 'collateral',
    { options: { platforms: { tdx: { roots: [intel.rootHash], collateral: async () => undefined as never } } } }
  ]
]
eachFailsAlone(t, cases)

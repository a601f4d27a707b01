/** What people can do if there is no verdict. */
import type { Outcome } from './verification.ts'

export interface Advice {
  readonly title: string
  readonly sentence: string
  readonly steps: readonly string[]
}

export function advise (outcome: Exclude<Outcome, { kind: 'verdict' }>): Advice {
  if (outcome.kind === 'document') {
    return {
      title: 'No verdict',
      sentence: 'What answered is not an attestation document, so nothing is known about this proxy.',
      steps: [
        'Is this the address of the proxy? If it is mounted below a path, the path belongs to the address.',
        'A login page or a gateway in front of the proxy may have answered in its place.'
      ]
    }
  }
  return outcome.who === 'proxy' ? proxyTrouble(outcome.status) : issuerTrouble()
}

function proxyTrouble (status: number | undefined): Advice {
  const title = 'No verdict'
  if (status === undefined) {
    return {
      title,
      sentence: 'The proxy could not be reached, so nothing is known about it.',
      steps: [
        'Is the address right, and is the proxy running?',
        'Does this browser accept its certificate? Open the address in another tab.',
        'Does the proxy let pages of other origins ask it? Its operator decides that (POLARIS_CONTAINER_ENABLE_CORS, ' +
          'POLARIS_CONTAINER_CORS_ORIGIN). If it does not, use "polaris verify" on the command line.'
      ]
    }
  }
  if (status === 404) {
    return {
      title,
      sentence: 'There is no proxy at this address, so nothing is known about it.',
      steps: ['If the proxy is mounted below a path, the path belongs to the address.']
    }
  }
  if (status === 429) {
    return {
      title, sentence: 'The proxy was asked too often, so it gave no answer.', steps: ['Wait a minute, then try again.']
    }
  }
  return {
    title,
    sentence: 'The proxy has no evidence at present, so nothing is known about it.',
    steps: [
      'Try again in a minute: after a start, evidence takes a moment.',
      'If it stays this way, its operator finds the reason at /polaris-container/readyz.'
    ]
  }
}

function issuerTrouble (): Advice {
  return {
    title: 'No verdict',
    sentence: 'The evidence could not be checked, because the party that vouches for it could not be asked.',
    steps: [
      'Not every issuer lets pages ask. Open the address above in another tab, save what it shows, and give the file ' +
        'under "Files in place of the network".',
      'Or use "polaris verify" on the command line, which can ask all of them.'
    ]
  }
}

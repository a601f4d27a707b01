/** Checks of where the software was built (Sigstore). */
import type { Explanations } from './explanation.ts'

export const provenance: Explanations = {
  'provenance-bundle': {
    asks: 'Is there a proof of origin that can be read?',
    matters: 'Your policy demands a proof of where the software was built.'
  },
  'provenance-signature': {
    asks: 'Did the build sign the proof, with a key that Sigstore certified and logged?',
    matters: 'Without a valid signature anybody could have written it.'
  },
  'provenance-log': {
    asks: 'Is the proof in the public log?',
    matters: 'What is in the log cannot be taken back unseen, so a false build leaves a trace.'
  },
  'provenance-time': {
    asks: 'Was the build logged within the time that your policy accepts?',
    matters: 'An old build may have flaws that have been fixed since.'
  },
  'provenance-issuer': {
    asks: 'Did the issuer that your policy trusts vouch for who ran the build?',
    matters: 'Another issuer may vouch for anybody.'
  },
  'provenance-repository': {
    asks: 'Was it built from the repository that your policy names?',
    matters: 'Another repository holds other source.'
  },
  'provenance-workflow': {
    asks: 'Was it built by the workflow that your policy names?',
    matters: 'Another workflow of the same repository may build something else.'
  },
  'provenance-ref': {
    asks: 'Was it built from a branch or tag that your policy accepts?',
    matters: 'Builds of other branches may never have been reviewed.'
  },
  'provenance-payload': {
    asks: 'Is what was signed of the type that your policy accepts?',
    matters: 'A signature over something else says nothing about the build.'
  },
  'provenance-statement': {
    asks: 'Is the statement of a type that your policy accepts?',
    matters: 'Another type of statement means something else.'
  },
  'provenance-predicate': {
    asks: 'Does the statement say what your policy asks for?',
    matters: 'Another predicate means something else, such as a list of parts instead of a build.'
  },
  'provenance-subject': {
    asks: 'Is the proof about the software that runs?',
    matters: 'Otherwise the proof is genuine, but about other software.'
  },
  'provenance-launch': {
    asks: 'Did the machine start what the proof of origin names?',
    matters: 'Otherwise the proof is genuine, but about other software.'
  },
  'provenance-measurements': {
    asks: 'Are the measurements in the proof complete?',
    matters: 'Without them it cannot be compared with what the hardware measured.'
  }
}

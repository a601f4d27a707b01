/** Checks that every kind of evidence has, and those of signed tokens. */
import type { Explanations } from './explanation.ts'

export const general: Explanations = {
  nonce: {
    asks: 'Does the answer repeat the random number that was made for this question?',
    matters: 'Otherwise an old answer may be played back, from a time when something else was running.'
  },
  keys: {
    asks: 'Does the document list at least one encryption key, with the right fingerprint for each?',
    matters: 'Without it, nothing says which keys the evidence is about.'
  },
  binding: {
    asks: 'Are the keys and the random number tied together as the protocol demands?',
    matters: "Otherwise genuine evidence could be combined with another party's keys."
  },
  platform: {
    asks: 'Is this a kind of evidence that your policy accepts?',
    matters: 'Your policy says on which platforms the proxy may run. Evidence of any other kind is refused.'
  },
  evidence: {
    asks: 'Can the evidence be read?',
    matters: 'Evidence that is damaged, or of another form than announced, proves nothing.'
  },
  bound: {
    asks: 'Does the evidence itself vouch for these keys?',
    matters: 'Otherwise the evidence is genuine at best for another proxy, with other keys.'
  },
  freshness: {
    asks: 'Was the evidence made just now?',
    matters: 'Old evidence says nothing about what is running today.'
  },
  validity: {
    asks: 'Is the evidence within the time that its issuer set?',
    matters: 'Outside that time its issuer no longer vouches for it. A wrong clock on this machine looks the same.'
  },
  signature: {
    asks: 'Is the evidence signed by the issuer that your policy names?',
    matters: 'Without a valid signature anybody could have written it.'
  },
  issuer: {
    asks: 'Is the issuer one that your policy trusts?',
    matters: 'Anybody can sign statements. Only those of issuers that you trust count.'
  },
  audience: {
    asks: 'Was the evidence made for the clients of this proxy?',
    matters: 'Evidence that was made for another service could otherwise be reused here.'
  },
  claims: {
    asks: 'Can the statements in the evidence be believed?',
    matters: 'They were not looked at, because the signature over them does not hold.'
  },
  root: {
    asks: 'Does the chain of signatures end at a root that you trust?',
    matters: 'The root is the maker of the hardware. Any other root only claims to be the maker.'
  },
  'certificate-chain': {
    asks: 'Does each certificate vouch for the next, from the root to the key that signed?',
    matters: 'A gap in the chain means that the key that signed may belong to anybody.'
  },
  'certificate-validity': {
    asks: 'Are all certificates within their time?',
    matters: 'Their issuer no longer vouches for expired certificates.'
  },
  revocation: {
    asks: 'Has the maker withdrawn none of the certificates?',
    matters: 'A certificate is withdrawn when its key may have leaked. Evidence signed with it could be forged.'
  },
  tcb: {
    asks: 'Is the firmware of the processor recent enough?',
    matters: 'Old firmware has flaws that are publicly known and may let the operator of the machine read its memory.'
  },
  debug: {
    asks: 'Is debugging switched off?',
    matters: 'With debugging switched on, the operator of the machine can read everything in its memory.'
  },
  measurement: {
    asks: 'Did the machine start exactly the software that your policy names?',
    matters: 'The measurement is the fingerprint of what was started. Another one is other software.'
  },
  image: {
    asks: 'Is the image that runs one that your policy names?',
    matters: 'The digest is the fingerprint of the image. Another one is other software.'
  },
  weakenings: {
    asks: 'Do the settings of the proxy keep all of its protections?',
    matters: 'Some settings take protections back, for example by accepting requests that are not encrypted.'
  },
  devices: {
    asks: 'Was the evidence of devices, such as GPUs, looked at?',
    matters: 'Your policy asks nothing of devices, so nothing is known about them.'
  }
}

/** Checks of AMD SEV-SNP reports. */
import type { Explanations } from './explanation.ts'

export const amd: Explanations = {
  report: {
    asks: 'Is this a report of a processor, in a form that is known?',
    matters: 'Another form could be read wrongly.'
  },
  'report-signature': {
    asks: 'Did the certified key of the processor sign the report?',
    matters: 'Without a valid signature anybody could have written the report.'
  },
  'certificate-matches-report': {
    asks: 'Is the certificate for this very chip, in this state of its firmware?',
    matters: 'A key of older, broken firmware must not speak for newer firmware.'
  },
  product: {
    asks: 'Is it a generation of processors that your policy names?',
    matters: 'Generations differ in what is known to be broken.'
  },
  'guest-policy': {
    asks: 'Are the launch rules of the machine well formed, and those that your policy names?',
    matters: 'The rules say what the host may do, for example debug the machine or move it.'
  },
  migration: {
    asks: 'Is it ruled out that a migration agent moves the machine elsewhere?',
    matters: 'An agent that can move the machine can read its memory.'
  },
  vmpl: {
    asks: 'Did the most privileged part of the machine ask for the report?',
    matters: 'Less privileged software could otherwise speak for the whole machine.'
  },
  'id-key': {
    asks: 'Was the identity of the machine signed with a key that your policy names?',
    matters: 'The key shows who made the machine image.'
  },
  'author-key': {
    asks: 'Did the author that your policy names vouch for that key?',
    matters: 'The author shows who stands behind the key that signed the machine image.'
  },
  family: {
    asks: 'Is it of the family of images that your policy names?',
    matters: 'The family is a name that the maker of the image chose.'
  },
  chip: {
    asks: 'Is it a chip that your policy names?',
    matters: 'Naming chips ties the proof to machines that you know.'
  },
  'platform-info': {
    asks: 'Is the host set up as your policy demands?',
    matters: 'Settings such as hyper-threading or memory checks decide which attacks are possible.'
  }
}

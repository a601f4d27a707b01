/** Checks of the clouds' own attestation services: Google Confidential Space and Microsoft Azure Attestation. */
import type { Explanations } from './explanation.ts'

export const clouds: Explanations = {
  software: {
    asks: 'Does the machine run the system that is expected of it?',
    matters: 'Another system may let its operator log in and look.'
  },
  'secure-boot': {
    asks: 'Did the machine check the signature of everything it started?',
    matters: 'Otherwise something else may have been started first.'
  },
  support: {
    asks: 'Is the system a stable production release?',
    matters: 'Debug releases let the operator log in. Old releases may have known flaws.'
  },
  hardware: {
    asks: 'Does it run on hardware that keeps memory from the host?',
    matters: 'Ordinary machines can be inspected by the operator of the host.'
  },
  project: {
    asks: 'Does it run in a cloud project that your policy names?',
    matters: 'Anybody can run the genuine image in a project of their own, in front of a workload of their own.'
  },
  'service-account': {
    asks: 'Does it run under a service account that your policy names?',
    matters: 'The account shows who deployed it. The genuine image in the wrong hands is not your deployment.'
  },
  environment: {
    asks: 'Did the operator set only the variables that your policy accepts?',
    matters: 'A setting can decide where requests go and what protects them.'
  },
  command: {
    asks: 'Was it started with the command line that your policy accepts?',
    matters: 'Another command line can run other code from the same image.'
  },
  'attestation-type': {
    asks: 'Did Microsoft verify a report of an SEV-SNP machine?',
    matters: 'Other kinds of machines do not keep memory from the host.'
  },
  compliance: {
    asks: 'Does Microsoft recognise the utility virtual machine as its own?',
    matters: 'Another one need not enforce which containers may run.'
  },
  'host-data': {
    asks: 'Did the host start the machine with the data that your policy names?',
    matters: 'On Azure this is the fingerprint of the rules that say which containers may run.'
  },
  'guest-svn': {
    asks: 'Is the security version of the guest recent enough?',
    matters: 'Older versions may have known flaws.'
  },
  'utility-vm': {
    asks: 'Did Microsoft sign for this utility virtual machine?',
    matters: 'Another one need not enforce which containers may run.'
  },
  'provider-policy': {
    asks: "Did Microsoft's service judge by the policy that yours names?",
    matters: 'The owner of the service can have it judge by other rules.'
  },
  'vm-id': {
    asks: 'Is it a virtual machine that your policy names?',
    matters: 'Anybody can run the same software in a machine of their own.'
  }
}

/** Checks of Intel TDX quotes. */
import type { Explanations } from './explanation.ts'

export const intel: Explanations = {
  quote: {
    asks: "Does the platform's certified key vouch for the quote?",
    matters: 'Without it anybody could have written the quote.'
  },
  collateral: {
    asks: "Are Intel's statements about this platform genuine and in force?",
    matters: 'They say which versions are safe and which keys are withdrawn.'
  },
  'collateral-number': {
    asks: "Are Intel's statements as recent as your policy demands?",
    matters: 'An older edition stays valid for a while and does not know the latest flaws.'
  },
  'quoting-enclave': {
    asks: 'Is the part that signs quotes the one that Intel describes?',
    matters: 'Another one could sign anything.'
  },
  'quoting-enclave-vendor': {
    asks: 'Is the maker of the part that signs quotes accepted?',
    matters: 'Another maker answers for the signatures, not Intel.'
  },
  module: {
    asks: "Is the TDX module Intel's own, for production?",
    matters: 'The module is what keeps the host out of the machine.'
  },
  mrseam: {
    asks: 'Is it the TDX module that your policy names?',
    matters: 'The module is what keeps the host out of the machine.'
  },
  'tee-tcb-svn': {
    asks: 'Are the parts of the TDX module as recent as your policy demands?',
    matters: 'Older versions may have known flaws.'
  },
  'sept-ve': {
    asks: 'Is the host unable to interrupt the machine at any page it chooses?',
    matters: 'Such interruptions can be used to attack the kernel inside the machine.'
  },
  attributes: {
    asks: 'Are the attributes of the machine well formed, and those that your policy names?',
    matters: 'Attributes decide, for example, whether the machine can be debugged.'
  },
  xfam: {
    asks: 'Are the processor features of the machine well formed, and those that your policy names?',
    matters: 'Features that are switched on change how software inside behaves.'
  },
  'service-td': {
    asks: 'Is no other machine bound that could move this one?',
    matters: 'A service machine can take this machine, with its memory, to another platform.'
  },
  mrconfigid: {
    asks: 'Did the host start the machine with the configuration that your policy names?',
    matters: 'The host chooses the configuration, so it counts only if your policy names it.'
  },
  mrowner: {
    asks: 'Is the owner of the machine the one that your policy names?',
    matters: 'The host sets the owner, so it counts only if your policy names it.'
  },
  mrownerconfig: {
    asks: "Is the owner's configuration the one that your policy names?",
    matters: 'The host sets it, so it counts only if your policy names it.'
  },
  'platform-model': {
    asks: 'Is it a platform that your policy names?',
    matters: 'Platforms differ in what is known to be broken.'
  }
}

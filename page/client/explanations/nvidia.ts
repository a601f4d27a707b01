/** Checks of NVIDIA GPUs, by their own evidence and by the answer of NVIDIA's Remote Attestation Service. */
import type { Explanations } from './explanation.ts'

export const nvidia: Explanations = {
  'gpu-evidence': {
    asks: 'Is there evidence of GPUs that can be read?',
    matters: 'A GPU that proves nothing may be readable by the operator of the machine.'
  },
  'gpu-certificates': {
    asks: 'Does the certificate of each GPU lead to NVIDIA?',
    matters: 'Otherwise it may be a program that pretends to be a GPU.'
  },
  'gpu-signature': {
    asks: 'Did each GPU sign its own evidence?',
    matters: 'Without a valid signature anybody could have written it.'
  },
  'gpu-nonce': {
    asks: 'Does the evidence of each GPU answer this question?',
    matters: 'Otherwise old evidence, or evidence of other GPUs, could be played back.'
  },
  'gpu-firmware': {
    asks: 'Does each GPU run the firmware that its certificate names?',
    matters: 'Other firmware may not keep data from the host.'
  },
  'gpu-distinct': {
    asks: 'Is each GPU there only once?',
    matters: 'One genuine GPU could otherwise answer for several.'
  },
  'gpu-count': {
    asks: 'Are there as many GPUs as your policy demands?',
    matters: 'A GPU that is missing from the evidence may be one that proves nothing.'
  },
  'gpu-model': {
    asks: 'Are the GPUs of a model that your policy names?',
    matters: 'Not every model protects data in use.'
  },
  'gpu-driver': {
    asks: 'Is the driver version one that your policy names?',
    matters: 'Old drivers have known flaws.'
  },
  'gpu-vbios': {
    asks: 'Is the firmware (VBIOS) version one that your policy names?',
    matters: 'Old firmware has known flaws.'
  },
  'gpu-measurements': {
    asks: "Were the GPUs' measurements compared with NVIDIA's reference values?",
    matters: 'Without the comparison, it is known who signed, but not whether the firmware is unchanged.'
  },
  'nras-answer': {
    asks: 'Is there an answer of NVIDIA that can be read?',
    matters: 'Your policy demands that NVIDIA itself looked at the GPUs.'
  },
  'nras-signature': {
    asks: 'Did NVIDIA sign the answer?',
    matters: 'Without a valid signature anybody could have written it.'
  },
  'nras-validity': {
    asks: "Is NVIDIA's answer within its time?",
    matters: 'Outside that time NVIDIA no longer vouches for it.'
  },
  'nras-nonce': {
    asks: "Is NVIDIA's answer about this question?",
    matters: 'Otherwise an old answer, or one about other GPUs, could be played back.'
  },
  'nras-parts': {
    asks: 'Do the parts of the answer belong together?',
    matters: 'Parts of several answers could otherwise be mixed.'
  },
  'nras-result': {
    asks: 'Does NVIDIA say that all is well?',
    matters: 'NVIDIA found something wrong with at least one GPU.'
  },
  'nras-measurements': {
    asks: "Do the measurements of each GPU equal NVIDIA's reference values?",
    matters: 'Other measurements are other firmware.'
  },
  'nras-debug': {
    asks: 'Is debugging switched off on each GPU?',
    matters: 'GPUs in developer mode get a good overall result although their memory can be read.'
  },
  'nras-secure-boot': {
    asks: 'Did each GPU check the signature of everything it started?',
    matters: 'Otherwise something else may have been started first.'
  },
  'nras-claims': {
    asks: "Did each of NVIDIA's own checks pass?",
    matters: 'The overall result can be good although single checks failed.'
  },
  'nras-devices': {
    asks: "Is NVIDIA's answer about the GPUs whose evidence is here?",
    matters: 'Otherwise other GPUs were looked at.'
  }
}

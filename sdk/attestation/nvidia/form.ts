/** The form of a policy's section `devices.nvidia`. */
import { count, list, matching, object, oneOf, text } from '../policy-rules.ts'
import { MAX_GPUS } from './policy.ts'

export const nvidiaForm = object({
  count: count(MAX_GPUS),
  models: list(matching(/^G[A-Z]\d{3}$/)),
  drivers: list(text),
  vbios: list(matching(/^[\dA-Fa-f]{2}(?:\.[\dA-Fa-f]{2}){4}$/)),
  appraisal: oneOf('local', 'nras')
})

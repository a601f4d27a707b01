/** The parts of axios (1.x) that are used, by their shape: there is no dependency on axios. */
import type { PolarisSDK } from '../polaris-sdk.ts'

export interface AxiosHeadersLike {
  get (name: string): unknown
  set (name: string, value: string | false, rewrite?: boolean): unknown
  has (name: string): boolean
  delete (name: string): boolean
  clear (): unknown
  concat (): AxiosHeadersLike
  toJSON (): object
}

export type ValidateStatus = (status: number) => boolean

export interface AxiosConfigLike {
  url?: string | undefined
  baseURL?: string | undefined
  allowAbsoluteUrls?: boolean | undefined
  method?: string | undefined
  params?: unknown
  paramsSerializer?: unknown
  headers: AxiosHeadersLike
  data?: unknown
  auth?: { username: string, password: string } | undefined
  transformRequest?: unknown
  transformResponse?: unknown
  validateStatus?: ValidateStatus | null | undefined
  responseType?: string | undefined
  responseEncoding?: string | undefined
  maxContentLength?: number | undefined
  maxRedirects?: number | undefined
  withXSRFToken?: unknown
}

export interface AxiosResponseLike {
  data: unknown
  status: number
  headers: unknown
  config: AxiosConfigLike
  request?: unknown
}

/** What the interceptors need of a PolarisSDK. */
export type MessageCrypto = Pick<PolarisSDK, 'getPublicKey' | 'encrypt' | 'decrypt'>

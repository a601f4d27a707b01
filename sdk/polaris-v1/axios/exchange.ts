/**
 * What has to be remembered between a request and its response.
 *
 * It is found again by the `validateStatus` function that the sealed config carries: axios copies configs on its way,
 * also into errors and retries, but copies functions by reference.
 */
import type { AxiosConfigLike, ValidateStatus } from './types.ts'

export interface Exchange {
  /** The caller's config, untouched. */
  readonly given: AxiosConfigLike
  /** What was put in place of the caller's, to be sent. */
  readonly sent: Partial<AxiosConfigLike>
  /** The response is sealed to the client's key. */
  readonly sealedResponse: boolean
  /** Resolves to true where the proxy has another key by now than the request was sealed to. */
  readonly keyChanged: () => Promise<boolean>
}

const exchanges = new WeakMap<ValidateStatus, Exchange>()

/** Gives `exchange.sent` the mark by which `recall` finds the exchange. */
export function remember (exchange: Exchange): void {
  const { given: { validateStatus }, sent, sealedResponse } = exchange
  // The status of a sealed response is judged once it is open. Like axios, no function accepts every status.
  sent.validateStatus = status => sealedResponse || !validateStatus || validateStatus(status)
  exchanges.set(sent.validateStatus, exchange)
}

/**
 * Puts back into a sealed config what the caller had said, so that code that reads it finds that, and code that sends
 * it again has it sealed again.
 *
 * @param config changed, where it is a sealed one
 */
export function recall (config: AxiosConfigLike): Exchange | undefined {
  const exchange = config.validateStatus ? exchanges.get(config.validateStatus) : undefined
  if (!exchange) return undefined
  for (const key of Object.keys(exchange.sent)) Reflect.deleteProperty(config, key)
  Object.assign(config, Object.fromEntries(Object.entries(exchange.given).filter(([key]) => key in exchange.sent)))
  return exchange
}

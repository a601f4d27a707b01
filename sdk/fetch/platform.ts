/** The platform's fetch, without the limits that Node's has by default. */

/** As far as undici's dispatchers are used here. */
export interface Dispatcher {
  dispatch (options: object, handler: never): boolean
}

interface Host {
  readonly process?: { versions?: { undici?: string } }
}

type FetchInit = RequestInit & { dispatcher?: Dispatcher }

/**
 * Node's fetch gives up after 300 seconds without response headers, or between two pieces of a body. This one waits for
 * as long as the caller's signal says. It looks up `globalThis.fetch` at each call, so that what replaces that later
 * (tests, instrumentation) is used; and it goes through the global dispatcher, such as one for a forward proxy.
 *
 * @param dispatcher of undici, in place of the global one; its limits on time hold then
 */
export function platformFetch (dispatcher?: Dispatcher): typeof globalThis.fetch {
  return (input, init) => {
    const through = dispatcher ?? withoutTimeouts()
    return globalThis.fetch(input, through === undefined ? init : { ...init, dispatcher: through } as FetchInit)
  }
}

/** Undefined unless the platform is Node, once its fetch has been loaded (which making a Request does). */
function withoutTimeouts (): Dispatcher | undefined {
  // What is built for browsers is without all of this.
  if ((globalThis as Host).process === undefined) return undefined
  const major = Number.parseInt((globalThis as Host).process?.versions?.undici ?? '')
  if (Number.isNaN(major)) return undefined
  const global = (globalThis as Record<symbol, unknown>)[Symbol.for(
    `undici.globalDispatcher.${major < 8 ? 1 : 2}`
  )] as Dispatcher | undefined
  if (global === undefined) return undefined
  const dispatch: Dispatcher['dispatch'] = (options, handler) => global.dispatch(
    { ...options, headersTimeout: 0, bodyTimeout: 0 }, handler
  )
  // Everything else is the global one's, such as whether it is a mock.
  return Object.create(global, { dispatch: { value: dispatch } }) as Dispatcher
}

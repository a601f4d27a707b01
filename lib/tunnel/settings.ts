/** WebSocket tunnels to the workload. */
import { PREFIX } from '../config/settings/setting.ts'
import type { SettingsTable } from '../config/settings/setting.ts'

export const websocket = {
  websockets: {
    env: `${PREFIX}WEBSOCKETS`,
    type: 'integer',
    minimum: 0,
    maximum: 65535,
    default: 1024,
    description: 'Maximum WebSockets at once, each with a connection to the workload of its own. Further ones wait ' +
      'for `POLARIS_CONTAINER_WORKLOAD_CONNECT_TIMEOUT`, then get 503. One client has at most half of them. `0` ' +
      'turns WebSocket off: requests for it are forwarded as plain ones (docs/websocket.md).'
  },

  websocketIdleTimeout: {
    env: `${PREFIX}WEBSOCKET_IDLE_TIMEOUT`,
    type: 'string',
    format: 'duration',
    default: '300s',
    description: 'How long a WebSocket may be silent both ways, pings included, before the proxy closes it with ' +
      'code 1001. `0` waits for ever.'
  }
} as const satisfies SettingsTable

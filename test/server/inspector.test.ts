// Whoever may signal the process could once have it open Node's inspector, through which all memory can be read: on
// the loopback interface, so for every other process of the pod or the VM.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { START, startServer } from '../fixtures/process.ts'

for (const workers of ['1', '2']) {
  const number = workers === '1' ? 'one process' : 'several processes'
  t.test(`with ${number}, SIGUSR1 opens no inspector and ends nothing`, async t => {
    t.ok(START.includes('--disable-sigusr1'))
    const server = await startServer(t, {
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', POLARIS_CONTAINER_WORKERS: workers
    })
    const tasks = readFileSync(`/proc/${server.child.pid}/task/${server.child.pid}/children`, 'utf8')
    const processes = [server.child.pid ?? 0, ...tasks.split(' ').filter(Boolean).map(Number)]
    t.ok(processes.length >= Number(workers))
    for (const pid of processes) process.kill(pid, 'SIGUSR1')
    // An answer after the signals shows that the process has handled them.
    t.equal((await fetch(`${server.url}/polaris-container/livez`)).status, 200)
    t.notMatch(server.stderr(), /Debugger|inspector/)
  })
}

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedTransport } from '../../transport/embedded.ts'
import { topicContract } from '../contract/topic.ts'

topicContract('the embedded transport', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-topics-'))
  const partitions = 3
  const transport = await embeddedTransport({ directory, partitions, maxBytes: 4 * 1024 ** 3 })
  return {
    transport,
    partitions,
    settings: () => ({
      name: `t.${randomBytes(4).toString('hex')}`,
      cleanup: 'compact',
      keptMs: 86_400_000,
      maxMessageBytes: 1024 * 1024,
    }),
    close: async () => {
      await transport.close()
      await rm(directory, { recursive: true })
    },
  }
})

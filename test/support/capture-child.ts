/** Run by support/capture-process.ts: captures until it fails, each batch sent to the parent and acknowledged by it. */
import { once } from 'node:events'
import type { Change } from '../../core/change.ts'
import { runCapture } from './capture.ts'

const [url = '', name = '', stateDirectory = '', chunkBytes] = process.argv.slice(2)

async function ask(message: unknown): Promise<unknown> {
  const answered = once(process, 'message')
  process.send!(message)
  const [answer] = await answered
  return answer
}

try {
  await runCapture({
    url,
    name,
    stateDirectory,
    before: async () => ((await ask('topic')) as { topic: Change[] }).topic,
    write: async (changes) => void (await ask({ changes })),
    until: () => false,
    ...(chunkBytes === undefined ? {} : { chunkBytes: Number(chunkBytes) }),
  })
} catch (error) {
  process.send!({ code: (error as { code?: string }).code ?? String(error) })
}
process.disconnect()

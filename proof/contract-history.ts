/** Earlier versions of the files below schemas/, out of git; it may be missing, as in a container. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SCHEMAS = fileURLToPath(new URL('../schemas', import.meta.url))

export interface History {
  /** Why there is none; null when there is. */
  readonly missing: string | null
  /** The texts of a file by commit, oldest first; a commit without the file left out. */
  versions(file: string): Promise<readonly { readonly commit: string; readonly text: string }[]>
  /** The file as the newest commit has it; null when that has none. */
  committed(file: string): Promise<string | null>
}

export async function contractHistory(directory = SCHEMAS): Promise<History> {
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', ['-C', directory, ...args], { maxBuffer: 64 << 20 })).stdout
  const missing = await git('rev-parse', '--verify', 'HEAD').then(
    () => null,
    (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? 'git is not installed' : `${directory} is in no git repository with a commit`,
  )
  const show = (commit: string, file: string): Promise<string | null> =>
    git('show', `${commit}:./${file}`).catch(() => null)
  return {
    missing,
    versions: async (file) => {
      if (missing !== null) return []
      const commits = (await git('log', '--reverse', '--format=%h', '--', `./${file}`)).split('\n').filter(Boolean)
      const texts = await Promise.all(commits.map((commit) => show(commit, file)))
      return commits.flatMap((commit, i) => (texts[i] == null ? [] : [{ commit, text: texts[i] }]))
    },
    committed: async (file) => (missing === null ? show('HEAD', file) : null),
  }
}

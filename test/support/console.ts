/** The console on a port of its own, with people to be. */
import { demoIdentity } from '../../api/demo-identity.ts'
import { MAINTAIN_REPORTS, OPERATE_READ, OPERATE_WRITE, REVIEW_AUDIT, VIEW_REPORTS } from '../../api/roles.ts'
import { serveConsole } from '../../console/serve.ts'
import type { ConsoleOptions } from '../../console/server.ts'
import { demoSignIn, type DemoPerson, type SignIn } from '../../console/sign-in.ts'
import { freePort } from '../../workload/postgres.ts'

export const PEOPLE: readonly DemoPerson[] = [
  { username: 'OPERATOR', says: 'runs the pipeline', roles: [OPERATE_READ, OPERATE_WRITE, VIEW_REPORTS, REVIEW_AUDIT] },
  { username: 'WATCHER', says: 'sees the pipeline, and changes nothing', roles: [OPERATE_READ] },
  { username: 'VIEWER', says: 'reads reports of Moorland', roles: [VIEW_REPORTS], caseloads: ['MDI'] },
  { username: 'EDITOR', says: 'writes reports', roles: [VIEW_REPORTS, MAINTAIN_REPORTS] },
  { username: 'AUDITOR', says: 'reads who saw what', roles: [REVIEW_AUDIT] },
]

export interface TestConsole {
  readonly url: string
  close(): Promise<void>
}

export interface TestConsoleOptions {
  readonly pages: ConsoleOptions['pages']
  /** No API unless given. */
  readonly apiUrl?: string
  /** The API's own tokens; tokens that no API takes unless given. */
  readonly token?: (person: DemoPerson) => Promise<string>
  readonly signIn?: SignIn
  readonly people?: readonly DemoPerson[]
}

/** Ends with `close`. */
export async function startConsole(options: TestConsoleOptions): Promise<TestConsole> {
  const identity = await demoIdentity({ production: false })
  const token = options.token ?? ((person: DemoPerson) => identity.token(person))
  const port = await freePort()
  return serveConsole({
    host: '127.0.0.1',
    port,
    publicUrl: `http://127.0.0.1:${port}`,
    apiUrl: options.apiUrl ?? 'http://127.0.0.1:9',
    sessionSecret: 'a secret of tests only, at least 32 long',
    signIn: options.signIn ?? demoSignIn({ people: options.people ?? PEOPLE, token }, { production: false }),
    pages: options.pages,
  })
}

/** The pages in the navigation, and who may open them. The API holds every route to its roles again. */
import { ADMINISTER_REPORTS, OPERATE_READ, REVIEW_AUDIT, VIEW_REPORTS } from '../api/roles.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'

interface Page {
  readonly href: string
  readonly text: string
  readonly roles: readonly string[]
}

const PAGES: readonly Page[] = [
  { href: '/', text: 'Pipeline', roles: [] },
  { href: '/tables', text: 'Tables', roles: [OPERATE_READ] },
  { href: '/incidents', text: 'Incidents', roles: [VIEW_REPORTS] },
  { href: '/rollout', text: 'Rollout', roles: [OPERATE_READ, ADMINISTER_REPORTS] },
  { href: '/failures', text: 'Failures', roles: [OPERATE_READ] },
  { href: '/reconciliation', text: 'Reconciliation', roles: [OPERATE_READ] },
  { href: '/contracts', text: 'Contracts', roles: [] },
  { href: '/analyse', text: 'Analyse', roles: [VIEW_REPORTS, OPERATE_READ] },
  { href: '/access', text: 'Access', roles: [REVIEW_AUDIT] },
]

export function homeLinks(roles: readonly string[], url: string) {
  const path = url.split('?')[0]!
  return PAGES.filter((page) => page.roles.length === 0 || page.roles.some((role) => roles.includes(role))).map(
    ({ href, text }) => ({ href, text, active: href === '/' ? path === '/' : path.startsWith(href) }),
  )
}

/** Asks for the sign-in, or says that the role is missing; true when the page may go on. */
export async function mayOpen(
  request: FastifyRequest,
  reply: FastifyReply,
  roles: readonly string[],
): Promise<boolean> {
  if (request.session === null) {
    await reply.redirect(`/sign-in?next=${encodeURIComponent(request.method === 'GET' ? request.url : '/')}`)
    return false
  }
  if (roles.length === 0 || roles.some((role) => request.session!.roles.includes(role))) return true
  void reply.code(403)
  await reply.view('message.njk', {
    heading: 'You do not have access to this page',
    paragraphs: [`One of these roles is needed: ${roles.map((role) => role.replace('ROLE_', '')).join(', ')}.`],
    link: { href: '/', text: 'To the first page' },
  })
  return false
}

/** The types that an incident may be given. */
import type { FastifyRequest } from 'fastify'

interface Type {
  readonly code: string
  readonly description: string
  readonly active: boolean
}

/** Those that are no longer used are left out; with why they cannot be told, where the API does not answer. */
export async function activeTypes(
  request: FastifyRequest,
): Promise<{ types: readonly Type[]; problem: string | null }> {
  const { body, message } = await request.api<Type[]>('/constants/types')
  return { types: (body ?? []).filter(({ active }) => active), problem: message }
}

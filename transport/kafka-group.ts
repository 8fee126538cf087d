/** A member of a consumer group: which partitions are its own, kept up in the background whatever the reader does. */
import { setTimeout } from 'node:timers/promises'
import { isRebalancing, passes, retrying, typeOf } from './kafka-retry.ts'
import { assignedPartitions, hangUp, roundRobin, type Broker, type Client, type Cluster } from './kafkajs.ts'

const SESSION_MS = 10_000
const REBALANCE_MS = 30_000
const HEARTBEAT_MS = 1000
/** How long a coordinator that does not answer may hold up the end. */
const LEAVE_MS = 1000

interface Assignment {
  /** Rises with each assignment; 0 before the first. */
  readonly generation: number
  readonly partitions: readonly number[]
}

export interface Membership {
  /** Connections that this member may use for more than its heartbeats. */
  readonly cluster: Cluster
  current(): Assignment
  /** False before the first assignment and while the member joins again. */
  isJoined(): boolean
  /** Asks the coordinator now whether this is still a member of the current generation; joins again if not. */
  verify(): Promise<boolean>
  /** Commits the group's next offsets; ignored when they are of an earlier generation. */
  commit(generation: number, next: ReadonlyMap<number, number>): Promise<void>
  leave(): Promise<void>
}

export interface MembershipOptions {
  readonly client: Client
  readonly group: string
  readonly topic: string
  /** How long a fault is ridden out. */
  readonly patienceMs: number
  readonly signal: AbortSignal
  /** Told after each assignment. */
  changed(): void
  /** Told once, when the patience is over or the coordinator refuses; nothing more happens then. */
  failed(error: unknown): void
}

export function joinGroup(options: MembershipOptions): Membership {
  const { client, group: groupId, topic, signal } = options
  const cluster = client.cluster()
  const assigner = roundRobin(cluster)
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  let assignment: Assignment = { generation: 0, partitions: [] }
  let memberId = ''
  let groupGenerationId = -1
  let coordinator: Broker | null = null
  let joined = false
  let wake = new AbortController()

  async function join(): Promise<void> {
    await cluster.connect()
    await cluster.addMultipleTargetTopics([topic])
    await cluster.refreshMetadata()
    coordinator = await cluster.findGroupCoordinator({ groupId })
    const member = await coordinator.joinGroup({
      groupId,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      memberId,
      groupProtocols: [assigner.protocol({ topics: [topic] })],
    })
    memberId = member.memberId
    groupGenerationId = member.generationId
    const groupAssignment =
      member.leaderId === memberId ? await assigner.assign({ members: member.members, topics: [topic] }) : []
    const synced = await coordinator.syncGroup({ groupId, generationId: groupGenerationId, memberId, groupAssignment })
    if (end.aborted) return
    joined = true
    assignment = {
      generation: assignment.generation + 1,
      partitions: assignedPartitions(synced.memberAssignment, topic).toSorted((a, b) => a - b),
    }
    options.changed()
  }

  async function beat(): Promise<void> {
    await coordinator!.heartbeat({ groupId, groupGenerationId, memberId })
  }

  /** Whether the member has to join again because of the error. */
  function forgets(error: unknown): boolean {
    if (!isRebalancing(error)) return false
    if (typeOf(error) === 'UNKNOWN_MEMBER_ID') memberId = ''
    joined = false
    wake.abort()
    return true
  }

  async function keep(): Promise<void> {
    let until = performance.now() + options.patienceMs
    while (!end.aborted) {
      try {
        await (joined ? beat() : join())
        until = performance.now() + options.patienceMs
        await sleep(HEARTBEAT_MS)
      } catch (error) {
        if (end.aborted) return
        if (forgets(error)) continue
        if (!passes(error) || performance.now() > until) {
          options.failed(error)
          return
        }
        joined = false // the coordinator is looked for again
        await sleep(100)
      }
    }
  }

  async function sleep(ms: number): Promise<void> {
    wake = new AbortController()
    await setTimeout(ms, undefined, { signal: AbortSignal.any([end, wake.signal]) }).catch(() => {})
  }

  const kept = keep()

  return {
    cluster,
    current: () => assignment,
    isJoined: () => joined,
    verify: async () => {
      if (!joined) return false
      try {
        await beat()
        return true
      } catch (error) {
        if (!forgets(error)) joined = false
        wake.abort()
        return false
      }
    },
    commit: async (generation, next) => {
      const partitions = Array.from(next, ([partition, offset]) => ({
        partition,
        offset: String(offset),
        metadata: '',
      }))
      try {
        await retrying(
          async () => {
            if (generation !== assignment.generation || !joined) return
            const topics = [{ topic, partitions }]
            await coordinator!.offsetCommit({ groupId, groupGenerationId, memberId, topics })
          },
          { until: performance.now() + options.patienceMs, signal: end },
        )
      } catch (error) {
        if (!forgets(error) && !end.aborted) throw error
      }
    },
    leave: async () => {
      ended.abort()
      const leaving = (async () => {
        if (joined && memberId !== '') await coordinator?.leaveGroup({ groupId, memberId })
      })().catch(() => {})
      await Promise.race([leaving, setTimeout(LEAVE_MS)])
      await hangUp(cluster)
      await kept
      await hangUp(cluster)
    },
  }
}

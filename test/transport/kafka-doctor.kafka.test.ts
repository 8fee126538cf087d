import { randomBytes } from 'node:crypto'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { examineTopics } from '../../transport/kafka-doctor.ts'
import { kafkaTransport } from '../../transport/kafka.ts'
import { topics, type Topics } from '../../transport/topics.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'

const PARTITIONS = 3

describeKafka('topics', () => {
  let admin: Admin
  let names: Topics
  const options = () => ({ brokers: needKafka().brokers, clientId: 'doctor' })

  beforeAll(async () => {
    names = topics(`d${randomBytes(5).toString('hex')}`)
    admin = new Kafka({ ...options(), brokers: [...options().brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const transport = await kafkaTransport({ ...options(), partitions: PARTITIONS, transactionalPrefix: 'doctor' })
    await transport.topic(names.raw)
    await transport.topic(names.events)
    await transport.close()
  })
  afterAll(() => admin.disconnect())

  const examine = (partitions = PARTITIONS) =>
    examineTopics(options(), {
      topics: [names.raw, names.unified, names.events],
      privateTopic: names.raw.name,
      partitions,
    })

  test('as the pipeline makes them have one finding on brokers without authoriser: the private one is open', async () => {
    const found = await examine()
    expect(found.map(({ check }) => check)).toEqual(['topic-private'])
    expect(found[0]!.found).toBe(
      `topic ${names.raw.name} holds names and free text, and the brokers have no authoriser`,
    )
  })

  test('with a setting that somebody changed are found, with the command that mends it', async () => {
    const set = (value: string) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: names.events.name, configEntries: [{ name: 'retention.ms', value }] }],
      })
    await set('1000')
    const found = (await examine()).filter(({ check }) => check === 'topic-setting')
    const wanted = `retention.ms=${names.events.keptMs}`
    expect(found.filter(({ found: says }) => says.includes('retention.ms = 1000'))).toEqual([
      expect.objectContaining({ severity: 'warning', mend: expect.stringContaining(`--add-config ${wanted}`) }),
    ])
    await set(String(names.events.keptMs))
    const after = (await examine()).filter(({ found: says }) => says.includes('retention.ms'))
    expect(after).toEqual([])
  })

  test('with other partitions than configured are an error, with the number to start with', async () => {
    const found = (await examine(7)).filter(({ check }) => check === 'topic-partitions')
    expect(found).toHaveLength(2)
    expect(found[0]).toMatchObject({ severity: 'error', mend: expect.stringContaining('KAFKA_PARTITIONS=3') })
  })
})

import { httpRegistry } from '../../schemas/registry-http.ts'
import { registryContract } from '../contract/registry.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'

describeKafka('Confluent’s API of a real registry', () => {
  registryContract('a real registry', async () => {
    const open = () => httpRegistry({ url: needKafka().registryUrl })
    return { registry: open(), again: open }
  })
})

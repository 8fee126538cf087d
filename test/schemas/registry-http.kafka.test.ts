import { httpRegistry } from '../../schemas/registry-http.ts'
import { registryContract } from '../contract/registry.ts'
import { kafkaServices } from '../support/kafka.ts'

registryContract('a real registry', async () => {
  const { registryUrl } = await kafkaServices()
  return { registry: httpRegistry({ url: registryUrl }), again: () => httpRegistry({ url: registryUrl }) }
})

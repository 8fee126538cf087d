import { expect, test } from 'vitest'
import { metrics } from '../observability.ts'

test('answers of the API are timed by method, registered route and status', async () => {
  const { registry, answered } = metrics()
  answered({ method: 'GET', route: '/incident-reports/:id', status: 200, seconds: 0.004 })
  const text = await registry.metrics()
  expect(text).toContain('# HELP http_request_duration_seconds How long the API took for an answer')
  expect(text).toContain(
    'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/incident-reports/:id",status="200"} 1',
  )
  expect(text).toContain(
    'http_request_duration_seconds_bucket{le="0.0025",method="GET",route="/incident-reports/:id",status="200"} 0',
  )
})

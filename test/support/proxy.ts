/** A network between a client and a server of this host, which can stop carrying anything without saying so. */
import { connect, createServer, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** From now on nothing gets through, and no connection is made or ended. */
  freeze(): void
  thaw(): void
  /** Ends every connection once so many bytes more have come from the server, and refuses new ones until `mend`. */
  cut(afterBytes: number): void
  mend(): void
  close(): void
}

export async function proxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let frozen = false
  let refuses = false
  /** What may still pass before the cut; null when none is planned. */
  let left: number | null = null

  function cutNow(): void {
    left = null
    refuses = true
    for (const socket of sockets) socket.destroy()
  }

  function fromServer(bytes: Buffer, client: Socket): void {
    if (left === null || bytes.length < left) {
      client.write(bytes)
      if (left !== null) left -= bytes.length
      return
    }
    client.write(bytes.subarray(0, left), cutNow)
    left = null
  }

  const server = createServer((client) => {
    if (refuses) {
      client.destroy()
      return
    }
    const upstream = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => (from === upstream ? fromServer(bytes, client) : to.write(bytes)))
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (frozen) from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as { port: number }).port,
    freeze: () => {
      frozen = true
      for (const socket of sockets) socket.pause()
    },
    thaw: () => {
      frozen = false
      for (const socket of sockets) socket.resume()
    },
    cut: (afterBytes) => {
      if (afterBytes === 0) cutNow()
      else left = afterBytes
    },
    mend: () => {
      left = null
      refuses = false
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

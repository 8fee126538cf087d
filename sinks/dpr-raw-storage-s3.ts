/**
 * A raw zone in a bucket, of S3 or of anything that answers as it does and honours `If-None-Match: *`. Where it is and
 * who asks are the SDK's own settings (AWS_REGION, AWS_ENDPOINT_URL_S3, a profile, a role).
 *
 * An object cannot be linked to its place, so a staged one is written a second time, under the condition that nothing
 * is there. A request that the SDK repeats after a lost answer meets its own object: it is compared before it is taken
 * for another's.
 */
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { PipelineError } from '../core/error.ts'
import { scratchFolder } from '../core/scratch-folder.ts'
import { foreignFile } from './dpr-raw-error.ts'
import type { Storage } from './dpr-raw-storage.ts'

/** What is larger goes up in parts of this size. */
const PART_BYTES = 16 << 20
const STAGED_AT_ONCE = 4
const DELETED_AT_ONCE = 1000
const CONFLICTS = 5

export function bucketStorage(location: string): Storage {
  const { Bucket, prefix } = bucketOf(location)
  const client = new S3Client({
    forcePathStyle: true, // what stands in for S3 seldom has a name for each bucket
    maxAttempts: 5,
    requestHandler: { connectionTimeout: 5_000, requestTimeout: 60_000 },
  })
  /** Local copies: what is written before it goes up, and what DuckDB reads. */
  const scratch = scratchFolder('dpr-of')
  const local = (path: string): string => join(scratch, path)
  const key = (path: string): string => `${prefix}${path}`

  async function put(path: string, body: Pick<PutObjectCommandInput, 'Body'>, create: boolean): Promise<void> {
    const condition = create ? { IfNoneMatch: '*' } : {}
    for (let attempt = 1; ; attempt++) {
      try {
        await client.send(new PutObjectCommand({ Bucket, Key: key(path), ...body, ...condition }))
        return
      } catch (error) {
        // another conditional write was under way: whether it succeeded shows the next time
        if (statusOf(error) !== 409 || attempt === CONFLICTS) throw error
      }
    }
  }

  async function upload(path: string, file: string, create: boolean): Promise<void> {
    const { size } = await stat(file)
    const condition = create ? { IfNoneMatch: '*' } : {}
    if (size <= PART_BYTES) {
      await put(path, { Body: await readFile(file) }, create)
      return
    }
    await new Upload({
      client,
      params: { Bucket, Key: key(path), Body: createReadStream(file), ...condition },
      partSize: PART_BYTES,
      queueSize: 2,
    }).done()
  }

  /** Null when there is no such object. */
  async function sizeOf(path: string): Promise<number | null> {
    try {
      return (await client.send(new HeadObjectCommand({ Bucket, Key: key(path) }))).ContentLength ?? 0
    } catch (error) {
      if (statusOf(error) === 404) return null
      throw error
    }
  }

  async function bytesOf(path: string): Promise<Uint8Array | null> {
    try {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key(path) }))
      return (await Body?.transformToByteArray()) ?? new Uint8Array()
    } catch (error) {
      if (statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket') return null
      throw error
    }
  }

  async function localFile(path: string): Promise<string> {
    const file = local(path)
    if ((await stat(file).catch(() => null)) !== null) return file
    const bytes = await bytesOf(path)
    if (bytes === null) throw new Error(`${location} no longer holds ${path}`)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(`${file}.part`, bytes)
    await rename(`${file}.part`, file)
    return file
  }

  async function publishOne(staged: string, target: string): Promise<void> {
    const size = await sizeOf(staged)
    if (size === null) return
    // what goes up in parts meets its condition at the end only
    if (size <= PART_BYTES || (await sizeOf(target)) === null) {
      try {
        await upload(target, await localFile(staged), true)
        return
      } catch (error) {
        if (statusOf(error) !== 412) throw error
      }
    }
    const [there, ours] = [await bytesOf(target), await bytesOf(staged)]
    if (there !== null && ours !== null && Buffer.compare(there, ours) !== 0) throw foreignFile(`${location}/${target}`)
  }

  async function list(folder: string): Promise<string[]> {
    const from = key(folder === '' ? '' : `${folder}/`)
    const found: string[] = []
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: from })) {
      for (const each of Contents) found.push(each.Key!.slice(from.length))
    }
    return found.sort()
  }

  async function remove(paths: readonly string[]): Promise<void> {
    for (let i = 0; i < paths.length; i += DELETED_AT_ONCE) {
      const Objects = paths.slice(i, i + DELETED_AT_ONCE).map((path) => ({ Key: key(path) }))
      const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
      if (Errors.length > 0) throw Object.assign(new Error('objects stay'), { name: Errors[0]!.Code ?? 'Unknown' })
    }
    for (const path of paths) await rm(local(path), { force: true })
  }

  return {
    location,
    workFile: async (path) => {
      await mkdir(dirname(local(path)), { recursive: true })
      return local(path)
    },
    stage: async (paths) => {
      for (let i = 0; i < paths.length; i += STAGED_AT_ONCE) {
        await Promise.all(paths.slice(i, i + STAGED_AT_ONCE).map((path) => upload(path, local(path), false)))
      }
    },
    publish: async (files, done) => {
      for (const { staged, target, readAgain } of files) {
        await publishOne(staged, target)
        await mkdir(dirname(local(target)), { recursive: true })
        if (readAgain) await rename(local(staged), local(target)).catch(() => {}) // it is fetched when it is missing
        done()
      }
    },
    localFile,
    list,
    readText: async (path) => {
      const bytes = await bytesOf(path)
      return bytes === null ? null : Buffer.from(bytes).toString('utf8')
    },
    createText: async (path, text) => {
      try {
        await put(path, { Body: text }, true)
        return true
      } catch (error) {
        if (statusOf(error) !== 412) throw error
        const there = await bytesOf(path)
        return there !== null && Buffer.from(there).toString('utf8') === text
      }
    },
    replaceText: (path, text) => put(path, { Body: text }, false),
    remove,
    removeFolder: async (folder) => {
      await remove((await list(folder)).map((path) => `${folder}/${path}`))
      await rm(local(folder), { recursive: true, force: true })
    },
    close: async () => {
      client.destroy()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

/** DPR's own readers take letters and hyphens only in a bucket's name (rule dpr.names). */
function bucketOf(location: string): { Bucket: string; prefix: string } {
  const parts = /^s3:\/\/([A-Za-z-]+)(?:\/(.*))?$/.exec(location)
  if (parts === null) {
    throw new PipelineError(
      'CONFIG',
      `${location} is no place for DPR's raw zone: its jobs read s3://bucket/prefix with letters and hyphens alone in the bucket's name`,
      'Choose a bucket whose name has no digit and no dot.',
    )
  }
  const path = (parts[2] ?? '').replace(/^\/+|\/+$/g, '')
  return { Bucket: parts[1]!, prefix: path === '' ? '' : `${path}/` }
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
}

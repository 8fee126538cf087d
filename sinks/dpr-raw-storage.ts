/** Where a raw zone lies: a folder of this machine, or a bucket. Everything else about it is the same. */
import { folderStorage } from './dpr-raw-storage-folder.ts'
import { bucketStorage } from './dpr-raw-storage-s3.ts'

/** Paths are below the root, with `/` between their parts. What is written is durable when a promise resolves. */
export interface Storage {
  /** As a person names it. */
  readonly location: string
  /** The local file that becomes the staged file of this path; its folder is made. */
  workFile(path: string): Promise<string>
  /** Makes work files durable under their paths. */
  stage(paths: readonly string[]): Promise<void>
  /**
   * Gives staged files their places, one after the other, each wholly or not at all, and never over a file: SINK_FOREIGN
   * when another file is there. A staged file that is gone was published.
   */
  publish(files: readonly Publication[], done: () => void): Promise<void>
  /** A local file with what is at the path. */
  localFile(path: string): Promise<string>
  /** The paths of all files below the folder, itself left out, in name order; none when it does not exist. */
  list(folder: string): Promise<readonly string[]>
  /** Null when there is no such file. */
  readText(path: string): Promise<string | null>
  /** False when a file with another text is there. It is never seen half written. */
  createText(path: string, text: string): Promise<boolean>
  replaceText(path: string, text: string): Promise<void>
  remove(paths: readonly string[]): Promise<void>
  removeFolder(folder: string): Promise<void>
  close(): Promise<void>
}

export interface Publication {
  readonly staged: string
  readonly target: string
  /** Whether `localFile` will be asked for it. */
  readonly readAgain: boolean
}

/** Opens `s3://bucket/prefix`, or a folder by its path. It makes nothing until something is written. */
export function openStorage(location: string): Storage {
  return isBucket(location) ? bucketStorage(location) : folderStorage(location)
}

export function isBucket(location: string): boolean {
  return location.startsWith('s3://')
}

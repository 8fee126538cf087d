/** What the raw zone's writer may rely on, wherever the zone lies. */
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openStorage, type Storage } from '../../sinks/dpr-raw-storage.ts'

/** Registers the tests; each gets a place of its own. */
export function storageContract(newPlace: () => Promise<string>): void {
  async function staged(storage: Storage, path: string, text: string): Promise<void> {
    await writeFile(await storage.workFile(path), text)
    await storage.stage([path])
  }
  const publish = (storage: Storage, name: string, target: string) =>
    storage.publish([{ staged: `manifest/staging/1/${name}`, target, readAgain: false }], () => {})

  test('of two that create a text one succeeds; who repeats its own has succeeded', async () => {
    const place = await newPlace()
    const [one, two] = [openStorage(place), openStorage(place)]
    const created = await Promise.all([
      one.createText('entries/1.json', 'one'),
      two.createText('entries/1.json', 'two'),
    ])
    expect(created.toSorted()).toEqual([false, true])
    const [winner, text] = created[0] ? ([one, 'one'] as const) : ([two, 'two'] as const)
    expect(await winner.createText('entries/1.json', text)).toBe(true)
    expect(await winner.readText('entries/1.json')).toBe(text)
    await winner.replaceText('entries/1.json', 'three')
    expect(await two.readText('entries/1.json')).toBe('three')
    expect(await two.readText('entries/2.json')).toBe(null)
  })

  test('a staged file reaches its place once, also when it is published again or by another', async () => {
    const place = await newPlace()
    const [one, two] = [openStorage(place), openStorage(place)]
    await staged(one, 'manifest/staging/1/a', 'rows')
    await publish(one, 'a', 'raw/s/t/a.parquet')
    await publish(two, 'a', 'raw/s/t/a.parquet')
    await publish(one, 'never-staged', 'raw/s/t/b.parquet')
    expect(await two.list('raw')).toEqual(['s/t/a.parquet'])
    expect(await readFile(await two.localFile('raw/s/t/a.parquet'), 'utf8')).toBe('rows')
    await two.removeFolder('manifest/staging')
    await two.remove(['raw/s/t/a.parquet'])
    await publish(one, 'a', 'raw/s/t/a.parquet')
    expect(await two.list('raw')).toEqual([])
  })

  test('another file at the place stays as it is: SINK_FOREIGN', async () => {
    const storage = openStorage(await newPlace())
    await storage.createText('raw/s/t/a.parquet', 'theirs')
    await staged(storage, 'manifest/staging/1/a', 'ours!!')
    await expect(publish(storage, 'a', 'raw/s/t/a.parquet')).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
    expect(await storage.readText('raw/s/t/a.parquet')).toBe('theirs')
  })

  test('a folder lists what is below it and not what begins with its name; a missing one is empty', async () => {
    const storage = openStorage(await newPlace())
    await storage.replaceText('raw/a/2.txt', '2')
    await storage.replaceText('raw/a/b/1.txt', '1')
    await storage.replaceText('raw/ab/3.txt', '3')
    expect(await storage.list('raw/a')).toEqual(['2.txt', 'b/1.txt'])
    expect(await storage.list('nowhere')).toEqual([])
    await storage.removeFolder('raw/a')
    expect(await storage.list('raw')).toEqual(['ab/3.txt'])
  })

  test('a file of many parts is whole', async () => {
    const storage = openStorage(await newPlace())
    const bytes = Buffer.alloc(40 << 20, 'abcdefg')
    await writeFile(await storage.workFile('manifest/staging/1/large'), bytes)
    await storage.stage(['manifest/staging/1/large'])
    await publish(storage, 'large', 'raw/s/t/large.parquet')
    await storage.removeFolder('manifest/staging')
    const found = await readFile(await storage.localFile('raw/s/t/large.parquet'))
    expect(found.equals(bytes)).toBe(true)
    await storage.close()
  })
}

// cloudevents, unmodified: URL
const { CloudEvent, httpTransport, emitterFor, Mode } = require('cloudevents')
const [url] = process.argv.slice(2)
const event = (id) => new CloudEvent({ id, type: 'Order Completed', source: '/shop', subject: 'u1', time: '2026-01-02T03:04:05.678Z', data: { total: 12.5 } })
async function main() {
  for (const [id, mode] of [['1', Mode.BINARY], ['2', Mode.STRUCTURED]]) {
    await emitterFor(httpTransport(url + '/v1/cloudevents'), { mode })(event(id))
  }
  console.log('done')
}
main().catch((e) => { console.error(e); process.exit(1) })

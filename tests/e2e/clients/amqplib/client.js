// SPDX-License-Identifier: Apache-2.0
// amqplib (Node.js). The scenarios of ../README.md, and:
//   frames        a body of many small frames there and back: `frame-max N`, `back BYTES SAME`
//   errors        what ends a channel or a connection arrives as the documented event:
//                 `channel-error CODE CLASS METHOD`, `cancelled`, `refused CODE`
//   stop          a clean stop of the broker: `ready`, then `stopped CODE`
//   blocked       publishes ten messages while the disk is full: `blocked REASON`, `unblocked`,
//                 `confirmed N`
//
// AMQPLIB names the package: amqplib, or amqplib-0.10.5, which asks for frames of 4 KiB and has no
// recovery of its own.
'use strict';

const amqplib = require(process.env.AMQPLIB || 'amqplib');
const hasRecovery = (process.env.AMQPLIB || 'amqplib') === 'amqplib';

const [scenario, port, name] = process.argv.slice(2);
const url = `amqp://guest:guest@127.0.0.1:${port}`;
const persistent = { persistent: true };

function say(...words) {
  process.stdout.write(`${words.join(' ')}\n`);
}

// Resolves when the broker has confirmed this publish.
function publish(channel, exchange, key, body, options = persistent) {
  return new Promise((resolve, reject) => {
    channel.publish(exchange, key, Buffer.from(String(body)), options,
      (error) => (error ? reject(error) : resolve()));
  });
}

async function publishNumbers(channel, exchange, key, count) {
  const confirms = [];
  for (let number = 0; number < count; number += 1) {
    confirms.push(publish(channel, exchange, key, number).then(() => say('confirmed', number)));
  }
  await Promise.all(confirms);
}

async function declareWork(channel, options) {
  await channel.assertExchange(`${name}.x`, 'direct', { durable: true });
  await channel.assertQueue(`${name}.q`, { durable: true, ...options });
  await channel.bindQueue(`${name}.q`, `${name}.x`, 'work');
}

async function work() {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  await declareWork(channel);
  await publishNumbers(channel, `${name}.x`, 'work', 100);
  const returned = new Promise((resolve) => channel.once('return', resolve));
  await publish(channel, `${name}.x`, 'nowhere', 'lost', { persistent: true, mandatory: true });
  const { fields } = await returned;
  say('returned', fields.replyCode, fields.replyText);

  const queue = `${name}.q`;
  const hands = [];
  let acked = 0;
  let tag;
  const got = (message) => {
    say('got', message.content.toString(), message.fields.redelivered ? 1 : 0);
    acked += 1;
  };
  await channel.prefetch(10);
  await new Promise((resolve, reject) => {
    const held = async () => {
      say('held', hands.length, (await channel.checkQueue(queue)).messageCount);
      channel.reject(hands[0], true);
      channel.ack(hands[9], true);
      hands.slice(1).forEach(got);
    };
    const deliver = (message) => {
      if (hands.length < 10) {
        hands.push(message);
        if (hands.length === 10) held().catch(reject);
        return;
      }
      got(message);
      channel.ack(message);
      if (acked === 100) resolve();
    };
    channel.consume(queue, deliver).then((ok) => { tag = ok.consumerTag; }, reject);
  });
  await channel.cancel(tag);
  const left = await channel.checkQueue(queue);
  say('left', left.messageCount, left.consumerCount);
  await connection.close();
}

async function deadLetter() {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  const dead = `${name}.dead`;
  await channel.assertExchange(`${name}.dlx`, 'fanout', { durable: true });
  await channel.assertQueue(dead, { durable: true });
  await channel.bindQueue(dead, `${name}.dlx`, '');
  await declareWork(channel, { deadLetterExchange: `${name}.dlx` });
  await publishNumbers(channel, `${name}.x`, 'work', 10);
  let settled = 0;
  await new Promise((resolve) => {
    channel.consume(`${name}.q`, (message) => {
      if (Number(message.content) % 2 === 0) channel.ack(message);
      else channel.nack(message, false, false);
      settled += 1;
      if (settled === 10) resolve();
    });
  });
  let died = 0;
  await new Promise((resolve) => {
    channel.consume(dead, (message) => {
      const [death] = message.properties.headers['x-death'];
      say('dead', message.content.toString(), death.reason, death.queue, death.count,
        death.exchange, death['routing-keys'][0]);
      channel.ack(message);
      died += 1;
      if (died === 5) resolve();
    });
  });
  say('left', (await channel.checkQueue(`${name}.q`)).messageCount);
  await connection.close();
}

// Publishes numbers, at most fifty unconfirmed at a time, on whatever channel there is.
class Publisher {
  constructor(onConfirmed) {
    this.onConfirmed = onConfirmed;
    this.next = 0;
    this.last = Infinity;
    this.unconfirmed = new Set();
    this.channel = null;
  }

  start(channel) {
    this.channel = channel;
    [...this.unconfirmed].sort((a, b) => a - b).forEach((number) => this.send(number));
    this.fill();
  }

  fill() {
    while (this.unconfirmed.size < 50 && this.next < this.last) {
      this.unconfirmed.add(this.next);
      this.send(this.next);
      this.next += 1;
    }
  }

  send(number) {
    const { channel } = this;
    channel.publish(`${name}.x`, '', Buffer.from(String(number)), persistent, (error) => {
      if (error || channel !== this.channel || !this.unconfirmed.delete(number)) return;
      say('confirmed', number);
      this.onConfirmed();
      this.fill();
    });
  }
}

async function recover() {
  let finished;
  const end = new Promise((resolve) => { finished = resolve; });
  const got = new Set();
  const check = () => {
    if (publisher.unconfirmed.size === 0 && got.size === publisher.last) finished();
  };
  const publisher = new Publisher(check);
  let starts = 0;

  const consume = async (channel) => {
    await channel.prefetch(20);
    await channel.consume(`${name}.worked`, (message) => {
      if (message === null) return;
      say('got', message.content.toString(), message.fields.redelivered ? 1 : 0);
      channel.ack(message);
      got.add(Number(message.content));
      check();
    });
  };
  const setup = async (connection) => {
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    await channel.assertExchange(`${name}.x`, 'fanout', { durable: true });
    for (const queue of [`${name}.kept`, `${name}.worked`]) {
      await channel.assertQueue(queue, { durable: true });
      await channel.bindQueue(queue, `${name}.x`, '');
    }
    await consume(channel);
    starts += 1;
    if (starts > 1) {
      say('recovered');
      publisher.last = publisher.next + 50;
    }
    publisher.start(channel);
  };
  const lost = () => { publisher.channel = null; say('lost'); };
  const connection = hasRecovery ? await recoverItself(setup, lost) : await reconnect(setup, lost);
  await end;
  say('done', publisher.last);
  await connection().close();
}

async function recoverItself(setup, lost) {
  const recovery = { initialDelay: 50, maxDelay: 500, setup };
  const connection = await amqplib.connect(url, { recovery });
  connection.on('error', () => {});
  connection.on('disconnect', lost);
  return () => connection;
}

async function reconnect(setup, lost) {
  let connection;
  const open = async () => {
    try {
      connection = await amqplib.connect(url);
    } catch (error) {
      setTimeout(open, 50);
      return;
    }
    connection.on('error', () => {});
    connection.once('close', (error) => {
      if (!error) return; // our own close
      lost();
      open();
    });
    await setup(connection);
  };
  await open();
  return () => connection;
}

async function frames() {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  say('frame-max', connection.connection.frameMax);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const body = Buffer.alloc(300001, 'frames of any size ');
  await publish(channel, '', queue, body, { headers: { word: 'x'.repeat(2000) } });
  const message = await channel.get(queue, { noAck: true });
  say('back', message.content.length, message.content.equals(body),
    message.properties.headers.word.length);
  await connection.close();
}

async function errors() {
  const connection = await amqplib.connect(url);
  const failing = async (action) => {
    const channel = await connection.createChannel();
    const error = new Promise((resolve) => channel.once('error', resolve));
    action(channel).catch(() => {});
    const { code, classId, methodId } = await error;
    say('channel-error', code, classId, methodId);
  };
  await failing((channel) => channel.checkQueue(`${name}.absent`));
  await failing(async (channel) => {
    await channel.assertQueue(`${name}.q`, { durable: true });
    await channel.assertQueue(`${name}.q`, { durable: false });
  });
  await failing(async (channel) => channel.ack({ fields: { deliveryTag: 77 } }));

  const channel = await connection.createChannel();
  let told;
  const cancelled = new Promise((resolve) => { told = resolve; });
  await channel.consume(`${name}.q`, (message) => { if (message === null) told(); });
  await channel.deleteQueue(`${name}.q`);
  await cancelled;
  say('cancelled');
  await connection.close();
  const wrong = await amqplib.connect(url.replace(':guest@', ':wrong@')).catch((error) => error);
  say('refused', /403/.test(wrong.message) ? 403 : wrong.message);
}

async function stop() {
  const connection = await amqplib.connect(url);
  connection.on('error', () => {});
  const closed = new Promise((resolve) => connection.once('close', resolve));
  say('ready');
  say('stopped', (await closed).code);
}

async function blocked() {
  const connection = await amqplib.connect(url);
  connection.on('blocked', (reason) => say('blocked', reason));
  connection.on('unblocked', () => say('unblocked'));
  const channel = await connection.createConfirmChannel();
  await declareWork(channel);
  await publishNumbers(channel, `${name}.x`, 'work', 10);
  await connection.close();
}

const scenarios = {
  work, 'dead-letter': deadLetter, recover, frames, errors, stop, blocked,
};
scenarios[scenario]().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

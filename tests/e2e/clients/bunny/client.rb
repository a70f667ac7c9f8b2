# SPDX-License-Identifier: Apache-2.0
# Bunny (Ruby). The scenarios of ../README.md; recovery is Bunny's own. And:
#   errors   what the broker refuses arrives as the documented exception or callback:
#            `raised CLASS`, `channel-error CODE TEXT` for what has no answer, `cancelled`
#   stop     a clean stop of the broker, which Bunny recovers from, exclusive queue included:
#            `ready`, then `recovered`, `got BODY`
#   blocked  publishes ten messages while the disk is full: `blocked REASON`, `unblocked`,
#            `confirmed N`
require 'bunny'
require 'logger'
require 'set'

$stdout.sync = true
SCENARIO, PORT, NAME = ARGV

def say(*words)
  $stdout.write("#{words.join(' ')}\n")
end

def connect(**options)
  Bunny.new(host: '127.0.0.1', port: PORT.to_i, user: 'guest', pass: 'guest',
            network_recovery_interval: 0.2, continuation_timeout: 30_000,
            logger: Logger.new($stderr), **options).start
end

def declare_work(channel, arguments = {})
  exchange = channel.direct("#{NAME}.x", durable: true)
  queue = channel.queue("#{NAME}.q", durable: true, arguments: arguments)
  queue.bind(exchange, routing_key: 'work')
  [exchange, queue]
end

# Bunny 2.19 looks for its lowest unconfirmed number without its lock: a publish at that moment fails
# before it does anything.
def publish(exchange, body, **options)
  exchange.publish(body, persistent: true, **options)
rescue RuntimeError => e
  raise unless e.message.include?('during iteration')

  retry
end

def publish_numbers(channel, exchange, count)
  count.times { |number| publish(exchange, number.to_s, routing_key: 'work') }
  raise 'not confirmed' unless channel.wait_for_confirms
  count.times { |number| say('confirmed', number) }
end

def work
  connection = connect
  channel = connection.create_channel
  channel.confirm_select
  exchange, queue = declare_work(channel)
  publish_numbers(channel, exchange, 100)
  exchange.on_return { |info, _, _| say('returned', info.reply_code, info.reply_text) }
  exchange.publish('lost', routing_key: 'nowhere', mandatory: true)
  channel.wait_for_confirms

  consuming = connection.create_channel
  consuming.prefetch(10)
  finished = Queue.new
  hands = []
  acked = 0
  got = lambda do |info, body|
    say('got', body, info.redelivered? ? 1 : 0)
    acked += 1
  end
  consumer = consuming.queue("#{NAME}.q", durable: true).subscribe(manual_ack: true) do |info, _, body|
    if hands.size < 10
      hands << [info, body]
      if hands.size == 10
        say('held', hands.size, queue.message_count)
        consuming.reject(hands[0][0].delivery_tag, true)
        consuming.ack(hands[9][0].delivery_tag, true)
        hands.drop(1).each { |held| got.call(*held) }
      end
    else
      got.call(info, body)
      consuming.ack(info.delivery_tag)
      finished << true if acked == 100
    end
  end
  finished.pop
  consumer.cancel
  status = queue.status
  say('left', status[:message_count], status[:consumer_count])
  connection.close
end

def dead_letter
  connection = connect
  channel = connection.create_channel
  channel.confirm_select
  dead = channel.queue("#{NAME}.dead", durable: true)
  dead.bind(channel.fanout("#{NAME}.dlx", durable: true))
  exchange, queue = declare_work(channel, 'x-dead-letter-exchange' => "#{NAME}.dlx")
  publish_numbers(channel, exchange, 10)
  10.times do
    info, _, body = queue.pop(manual_ack: true)
    body.to_i.even? ? channel.ack(info.delivery_tag) : channel.reject(info.delivery_tag, false)
  end
  finished = Queue.new
  died = 0
  dead.subscribe(manual_ack: true) do |info, properties, body|
    death = properties.headers['x-death'].first
    say('dead', body, death['reason'], death['queue'], death['count'], death['exchange'],
        death['routing-keys'].first)
    channel.ack(info.delivery_tag)
    died += 1
    finished << true if died == 5
  end
  finished.pop
  say('left', queue.message_count)
  connection.close
end

# Publishes numbers, fifty unconfirmed at a time, while Bunny's connection comes and goes; each time on
# a new channel, because a recovered one does not count confirms right (Bunny 2.19).
class Publisher
  attr_reader :total

  def initialize(connection)
    @connection = connection
    @events = Queue.new
    @unconfirmed = []
    @next = 0
    @total = nil
    @lost = false
    connection.before_recovery_attempt_starts do
      say('lost') unless @lost
      @lost = true
    end
    connection.after_recovery_completed { @events << :recovered }
  end

  def run
    open_channel
    until @total == @next && @unconfirmed.empty?
      fill
      event = @events.pop
      event == :recovered ? start_again : confirm(*event)
    end
  end

  private

  # Events of an older channel carry an older number, and are nobody's.
  def open_channel
    @generation = (@generation || 0) + 1
    generation = @generation
    channel = @connection.create_channel
    channel.confirm_select(->(tag, _, nack) { @events << [generation, tag, nack] })
    @exchange = channel.fanout("#{NAME}.x", durable: true)
    @numbers = [nil]
  end

  def start_again
    @lost = false
    say('recovered')
    @total = @next + 50
    open_channel
    @unconfirmed.each { |number| transmit(number) }
  end

  def confirm(generation, tag, nack)
    raise 'nacked' if nack
    return unless generation == @generation

    number = @numbers[tag]
    @unconfirmed.delete(number)
    say('confirmed', number)
  end

  def fill
    while @unconfirmed.size < 50 && @next != @total
      @unconfirmed << @next
      @next += 1
      transmit(@unconfirmed.last)
    end
  end

  def transmit(number)
    @numbers << number
    return if @lost || !@connection.open?

    publish(@exchange, number.to_s)
  rescue Bunny::Exception, SystemCallError, IOError => e
    warn("publishing: #{e.class}: #{e.message}")
  end
end

def recover
  connection = connect
  publisher = Publisher.new(connection)
  consuming = connection.create_channel
  consuming.prefetch(20)
  exchange = consuming.fanout("#{NAME}.x", durable: true)
  consuming.queue("#{NAME}.kept", durable: true).bind(exchange)
  got = Set.new
  news = Queue.new
  worked = consuming.queue("#{NAME}.worked", durable: true).bind(exchange)
  worked.subscribe(manual_ack: true) do |info, _, body|
    say('got', body, info.redelivered? ? 1 : 0)
    got << body.to_i
    begin
      consuming.ack(info.delivery_tag)
    rescue StandardError => e
      warn("acking: #{e.class}: #{e.message}")
    end
    news << true
  end
  publisher.run
  news.pop until got.size == publisher.total
  say('done', publisher.total)
  connection.close
end

def raised
  yield
rescue Bunny::Exception => e
  say('raised', e.class.name)
end

def errors
  connection = connect
  raised { connection.create_channel.queue("#{NAME}.absent", passive: true) }
  connection.create_channel.queue("#{NAME}.q", durable: true)
  raised { connection.create_channel.queue("#{NAME}.q", durable: false) }

  channel = connection.create_channel
  told = Queue.new
  channel.on_error { |_, close| told << [close.reply_code, close.reply_text] }
  channel.basic_ack(77)
  say('channel-error', *told.pop)

  channel = connection.create_channel
  queue = channel.queue("#{NAME}.q", durable: true)
  consumer = Bunny::Consumer.new(channel, queue)
  consumer.on_cancellation { told << true }
  queue.subscribe_with(consumer)
  connection.create_channel.queue_delete("#{NAME}.q")
  told.pop
  say('cancelled')
  connection.close
  raised { connect(pass: 'wrong') }
end

def stop
  told = Queue.new
  connection = connect(recover_from_connection_close: true)
  connection.after_recovery_completed { told << true }
  channel = connection.create_channel
  exchange = channel.direct("#{NAME}.x", durable: true)
  queue = channel.queue('', exclusive: true).bind(exchange, routing_key: 'work')
  bodies = Queue.new
  queue.subscribe { |_, _, body| bodies << body }
  say('ready')
  told.pop
  say('recovered')
  exchange.publish('after', routing_key: 'work')
  say('got', bodies.pop)
  connection.close
end

def blocked
  connection = connect
  connection.on_blocked { |blocked| say('blocked', blocked.reason) }
  connection.on_unblocked { say('unblocked') }
  channel = connection.create_channel
  channel.confirm_select
  exchange, = declare_work(channel)
  publish_numbers(channel, exchange, 10)
  connection.close
end

Thread.report_on_exception = true
Thread.abort_on_exception = true
send({ 'dead-letter' => :dead_letter }.fetch(SCENARIO, SCENARIO.to_sym))

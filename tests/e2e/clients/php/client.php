<?php
// SPDX-License-Identifier: Apache-2.0
// php-amqplib. The scenarios of ../README.md; the library does not recover, the program connects
// again as its documentation shows. It logs in with AMQPLAIN, the library's default. And:
//   errors   what the broker refuses arrives as the documented exception:
//            `channel-error CODE CLASS METHOD`, `cancelled`, `refused CODE`

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPBasicCancelException;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

require_once 'PhpAmqpLib/autoload.php';

const CONFIRM_SECONDS = 30;

[, $scenario, $port, $name] = $argv;

function say(...$words): void
{
    fwrite(STDOUT, implode(' ', $words) . "\n");
}

function connect(string $password = 'guest'): AMQPStreamConnection
{
    global $port;
    return new AMQPStreamConnection('127.0.0.1', $port, 'guest', $password);
}

function declare_bound(
    AMQPChannel $channel,
    string $exchange,
    string $type,
    string $queue,
    string $key,
    array $arguments = []
): void {
    $channel->exchange_declare($exchange, $type, false, true, false);
    $channel->queue_declare($queue, false, true, false, false, false, new AMQPTable($arguments));
    $channel->queue_bind($queue, $exchange, $key);
}

function depth(AMQPChannel $channel, string $queue): array
{
    return array_slice($channel->queue_declare($queue, true), 1);
}

function message($body): AMQPMessage
{
    return new AMQPMessage((string)$body, ['delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT]);
}

function publish_numbers(AMQPChannel $channel, int $count): void
{
    global $name;
    $channel->set_ack_handler(fn(AMQPMessage $message) => say('confirmed', $message->body));
    $channel->confirm_select();
    for ($number = 0; $number < $count; ++$number) {
        $channel->basic_publish(message($number), "$name.x", 'work');
    }
    $channel->wait_for_pending_acks(CONFIRM_SECONDS);
    $channel->set_ack_handler(fn(AMQPMessage $message) => null);
}

function got(AMQPMessage $message): void
{
    say('got', $message->body, $message->isRedelivered() ? 1 : 0);
}

function work(): void
{
    global $name;
    $connection = connect();
    $channel = $connection->channel();
    declare_bound($channel, "$name.x", 'direct', "$name.q", 'work');
    publish_numbers($channel, 100);
    $channel->set_return_listener(fn(int $code, string $text) => say('returned', $code, $text));
    $channel->basic_publish(message('lost'), "$name.x", 'nowhere', true);
    $channel->wait_for_pending_acks_returns(CONFIRM_SECONDS);

    $held = [];
    $acked = 0;
    $channel->basic_qos(0, 10, false);
    $deliver = function (AMQPMessage $message) use (&$held, &$acked) {
        if (count($held) < 10) {
            $held[] = $message;
            return;
        }
        got($message);
        $message->ack();
        ++$acked;
    };
    $tag = $channel->basic_consume("$name.q", '', false, false, false, false, $deliver);
    while (count($held) < 10) {
        $channel->wait();
    }
    say('held', count($held), depth($channel, "$name.q")[0]);
    $held[0]->reject();
    $held[9]->ack(true);
    array_map('got', array_slice($held, 1));
    while ($acked < 91) {
        $channel->wait();
    }
    $channel->basic_cancel($tag);
    say('left', ...depth($channel, "$name.q"));
    $connection->close();
}

function dead_letter(): void
{
    global $name;
    $connection = connect();
    $channel = $connection->channel();
    declare_bound($channel, "$name.dlx", 'fanout', "$name.dead", '');
    declare_bound($channel, "$name.x", 'direct', "$name.q", 'work', ['x-dead-letter-exchange' => "$name.dlx"]);
    publish_numbers($channel, 10);
    $settled = 0;
    $settle = function (AMQPMessage $message) use (&$settled) {
        (int)$message->body % 2 === 0 ? $message->ack() : $message->nack();
        ++$settled;
    };
    $channel->basic_consume("$name.q", '', false, false, false, false, $settle);
    while ($settled < 10) {
        $channel->wait();
    }
    $died = 0;
    $bury = function (AMQPMessage $message) use (&$died) {
        $death = $message->get('application_headers')->getNativeData()['x-death'][0];
        say(
            'dead',
            $message->body,
            $death['reason'],
            $death['queue'],
            $death['count'],
            $death['exchange'],
            $death['routing-keys'][0]
        );
        $message->ack();
        ++$died;
    };
    $channel->basic_consume("$name.dead", '', false, false, false, false, $bury);
    while ($died < 5) {
        $channel->wait();
    }
    say('left', depth($channel, "$name.q")[0]);
    $connection->close();
}

/** What a run with an outage knows across connections. */
final class Outage
{
    private array $unconfirmed = [];
    private array $got = [];
    private int $next = 0;
    private ?int $total = null;
    private bool $recovering = false;

    public function run(): void
    {
        while (true) {
            $connection = null;
            try {
                $connection = connect();
                $this->serve($connection->channel());
                say('done', $this->total);
                $connection->close();
                return;
            } catch (AMQPExceptionInterface | \RuntimeException | \ErrorException $error) {
                fwrite(STDERR, get_class($error) . ": {$error->getMessage()}\n");
                $this->lose($connection);
                usleep(50000);
            }
        }
    }

    private function lose(?AMQPStreamConnection $connection): void
    {
        if (!$this->recovering) {
            say('lost');
        }
        $this->recovering = true;
        try {
            if ($connection !== null) {
                $connection->close();
            }
        } catch (\Exception $closed) {
            // It is gone.
        }
    }

    private function serve(AMQPChannel $channel): void
    {
        global $name;
        foreach (["$name.kept", "$name.worked"] as $queue) {
            declare_bound($channel, "$name.x", 'fanout', $queue, '');
        }
        $channel->set_ack_handler(function (AMQPMessage $message) {
            unset($this->unconfirmed[(int)$message->body]);
            say('confirmed', $message->body);
        });
        $channel->confirm_select();
        $channel->basic_qos(0, 20, false);
        $channel->basic_consume("$name.worked", '', false, false, false, false, function (AMQPMessage $message) {
            got($message);
            $this->got[(int)$message->body] = true;
            $message->ack();
        });
        if ($this->recovering) {
            say('recovered');
            $this->recovering = false;
            $this->total = $this->next + 50;
        }
        foreach (array_keys($this->unconfirmed) as $number) {
            $channel->basic_publish(message($number), "$name.x");
        }
        while ($this->unconfirmed || count($this->got) !== $this->total) {
            while (count($this->unconfirmed) < 50 && $this->next !== $this->total) {
                $this->unconfirmed[$this->next] = true;
                $channel->basic_publish(message($this->next++), "$name.x");
            }
            $channel->wait();
        }
    }
}

function errors(): void
{
    global $name;
    $connection = connect();
    $fails = function (callable $action) use ($connection) {
        try {
            $action($connection->channel());
        } catch (AMQPProtocolChannelException $error) {
            say('channel-error', $error->amqp_reply_code, ...$error->amqp_method_sig);
        }
    };
    $fails(fn(AMQPChannel $channel) => $channel->queue_declare("$name.absent", true));
    $connection->channel()->queue_declare("$name.q", false, true, false, false);
    $fails(fn(AMQPChannel $channel) => $channel->queue_declare("$name.q", false, false, false, false));
    $fails(function (AMQPChannel $channel) {
        $channel->basic_ack(77);
        $channel->wait();
    });
    $channel = $connection->channel();
    $channel->basic_consume("$name.q", 'tag', false, false, false, false, fn() => null);
    $connection->channel()->queue_delete("$name.q");
    try {
        $channel->wait();
    } catch (AMQPBasicCancelException $cancelled) {
        say('cancelled', $cancelled->consumerTag);
    }
    $connection->close();
    try {
        connect('wrong');
    } catch (AMQPConnectionClosedException $refused) {
        say('refused', $refused->getCode());
    }
}

switch ($scenario) {
    case 'work':
        work();
        break;
    case 'dead-letter':
        dead_letter();
        break;
    case 'recover':
        (new Outage())->run();
        break;
    case 'errors':
        errors();
        break;
    default:
        exit(2);
}

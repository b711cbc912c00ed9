# The outbox and its keeper: rows arrive in the streams in order and are
# deleted then; whatever happens to Redis, to the keeper or to its connection,
# none is lost; and holds are swept all the same.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Drive;
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::RedisProxy;
use Time::HiRes qw(time);

my $db    = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
my $redis = Ticket::Redis->new(dir => temp_dir());
my $proxy = Ticket::RedisProxy->new(dir => temp_dir(), redis => $redis);

sub drive {
    my ($name, %more) = @_;
    return Ticket::Drive->new(dir => temp_dir(), db => $db, name => $name, redis => {socket => $proxy->socket}, %more);
}

sub rows { return $db->value('SELECT COUNT(*) FROM outbox') }

# What is in the stream of the room: [performance, seat, version] each.
sub told {
    my ($room) = @_;
    my $entries = $redis->cmd(XRANGE => 'ticket:{' . ($room // 'hall') . '}:seats', '-', '+');
    return map { my %field = @{$_->[1]}; [$field{p}, $field{e} =~ /"seats":\[\[(\d+),\d,(\d+)/] } @$entries;
}

# Every seat from the first to the last was told, whatever was told twice.
sub all_told {
    my ($first, $last, $version, $room) = @_;
    my %told = map { ("$_->[1] $_->[2]" => 1) } told($room);
    return !grep { !$told{"$_ $version"} } $first .. $last;
}

sub said { return scalar grep { $_ =~ $_[1] } split /\n/, slurp($_[0]{log}) }

my $one = drive('one');
eventually { $one->stat('keeping') } 10, 'the first worker becomes the keeper';

subtest 'rows move on' => sub {
    $one->add(n => 100, seat => 0, version => 1);
    $one->add(n => 3, seat => 0, version => 1, performance => 7, room => 'hall:20261201');
    eventually { rows() == 0 } 10, 'the outbox empties';
    my @told = told();
    is_deeply [map { $_->[1] } @told], [0 .. 99], 'the stream has them in order';
    is_deeply [map { "@$_" } told('hall:20261201')], [map { "7 $_ 1" } 0 .. 2], 'each room its own';
    $one->add(n => 1000, seat => 0, version => 2);
    eventually { rows() == 0 } 20, 'more than a round takes';
    is_deeply [map { $_->[1] } (told())[100 .. 1099]], [0 .. 999], 'in order, too';
    is $one->stat('moved'), 1103, 'they are counted';
    $db->do("INSERT INTO outbox (room, performance_id, payload, created_at)
             VALUES ('hall', 1, '{\"seats\":[[5,0,9,\"\",0]],\"buckets\":[],\"holds\":[]}', UTC_TIMESTAMP(3))");
    eventually { all_told(5, 5, 9) } 10, 'and so does what nobody woke the keeper for';
};

subtest 'streams are kept short' => sub {
    $one->add(n => 11_000, seat => 0, version => 3);
    eventually { rows() == 0 } 60, 'eleven thousand more';
    cmp_ok $redis->cmd(XLEN => 'ticket:{hall}:seats'), '<', 10_500, 'the oldest go';
    ok all_told(10_999, 10_999, 3), 'the newest stay';
};

subtest 'Redis is away' => sub {
    my $failures = $one->stat('keeper_failures');
    $redis->kill9;
    $one->add(n => 10, seat => 0, version => 1);
    eventually { $one->stat('rows') == 10 } 10, 'rows stay, and are counted';
    eventually { $one->stat('lag_ms') > 0 } 10, 'with their age';
    my $sweeps = $one->stat('sweeps');
    $one->order('sweep 200');
    eventually { $one->stat('swept') == 200 } 10, 'holds are swept all the same';
    eventually { $one->stat('sweeps') > $sweeps + 8 } 10, 'again and again';
    is said($one, qr/the outbox is not moved on until/), 1, 'the log says so, once';
    cmp_ok $one->stat('keeper_failures'), '>', $failures, 'failures are counted';
    $redis->restart(empty => 1);
    eventually { rows() == 0 } 10, 'when it is back, the rows move on';
    ok all_told(0, 9, 1), 'all of them';
    eventually { said($one, qr/the outbox is moved on again/) == 1 } 10, 'and the log says that';
    eventually { $one->stat('rows') == 0 && $one->stat('lag_ms') == 0 } 10, 'nothing is left';
};

subtest 'answers are lost' => sub {
    $redis->cmd('FLUSHALL');
    for my $what ([cut => 40], ['close'], ['hold']) {
        $proxy->order(@$what);
        $one->add(n => 50, seat => 0, version => 4);
        my $failures = $one->stat('keeper_failures');
        eventually { $one->stat('keeper_failures') > $failures } 15, "@$what: something fails";
        cmp_ok rows(), '>', 0, 'rows are left' if $what->[0] ne 'cut';
        $proxy->order('pass');
        eventually { rows() == 0 } 20, 'then all move on';
        ok all_told(0, 49, 4), 'none is lost';
        $redis->cmd('FLUSHALL');
    }
};

subtest 'Redis refuses one room' => sub {
    $redis->cmd(SET => 'ticket:{odd}:seats', 'no stream');
    $one->add(n => 600, seat => 0, version => 5, room => 'odd');
    $one->add(n => 5, seat => 0, version => 5);
    eventually { all_told(0, 4, 5) } 20, 'others need not wait';
    is rows(), 600, 'what was refused stays';
    $one->add(n => 5, seat => 10, version => 5);
    eventually { all_told(10, 14, 5) } 20, 'nor do those that come later';
    $redis->cmd(DEL => 'ticket:{odd}:seats');
    eventually { rows() == 0 } 20, 'until that is mended';
    ok all_told(0, 599, 5, 'odd'), 'and they are told';
    is_deeply [map { $_->[1] } told('odd')], [0 .. 599], 'in order';
};

subtest 'the keeper loses its connection' => sub {
    my $lock = "IS_USED_LOCK('ticket_keeper." . $db->schema . "')";
    my $id = $db->value("SELECT $lock");
    $db->do("KILL $id");
    eventually { ($db->value("SELECT $lock") // $id) != $id } 20, 'it becomes the keeper again';
    $one->add(n => 5, seat => 20, version => 6);
    eventually { all_told(20, 24, 6) } 20, 'and keeps';
};

my $two = drive('two');
subtest 'there is one keeper' => sub {
    $two->add(n => 20, seat => 0, version => 7);
    eventually { all_told(0, 19, 7) && rows() == 0 } 10, 'what another worker adds moves on';
    is $two->stat('keeping'), 0, 'the other does not keep';
    is $two->stat('moved'), 0, 'moves nothing';
    is $two->stat('sweeps'), 0, 'and does not sweep';
    $one->stop;
    eventually { $two->stat('keeping') } 10, 'until the first stops';
    $one->begin;
};

for my $how ('KILL', 'STOP') {
    subtest "the keeper gets SIG$how" => sub {
        $redis->cmd('FLUSHALL');
        my $started = time;
        if ($how eq 'KILL') { $two->kill9 }
        else                { kill STOP => $two->pid }
        $one->add(n => 20, seat => 0, version => 8);
        eventually { $one->stat('keeping') } 40, 'the other takes over';
        diag sprintf 'SIG%s: another keeper after %.1f s', $how, time - $started;
        eventually { rows() == 0 } 10, 'and moves on what is there';
        ok all_told(0, 19, 8), 'all of it';
        if ($how eq 'STOP') {
            kill CONT => $two->pid;
            eventually { said($two, qr/keeps the outbox no more/) } 10, 'the first finds out that it is none';
            is $one->stat('keeping'), 1, 'and the other stays';
        }
        else {
            $two->begin;
            $one->stop;
            eventually { $two->stat('keeping') } 10, 'which is over when it stops';
            $one->begin;
        }
    };
}

subtest 'the end' => sub {
    $two->stop;
    $proxy->order('close');
    my $failures = $one->stat('keeper_failures');
    $one->add(n => 1000, seat => 0, version => 9);
    eventually { $one->stat('keeper_failures') > $failures + 5 } 20, 'Redis is away for long';
    $proxy->order('pass');
    $one->stop;
    is rows(), 0, 'a last round has what there is, without waiting to try again';
    ok all_told(0, 999, 9), 'and tells it';
};

subtest 'without Redis' => sub {
    my $alone = drive('alone', redis => undef);
    $alone->order('sweep 65');
    eventually { $alone->stat('swept') == 65 } 10, 'holds are swept';
    my $other = drive('other');
    $alone->add(n => 300, seat => 0, version => 1);
    eventually { rows() == 0 } 10, 'rows are moved by a worker that has Redis, though this one keeps, too';
    $other->stop;
    $db->do("INSERT INTO outbox (room, performance_id, payload, created_at) VALUES
        ('hall', 1, '{}', UTC_TIMESTAMP(3)), ('hall', 1, '{}', UTC_TIMESTAMP(3) - INTERVAL 2 MINUTE)");
    eventually { rows() == 1 } 10, 'what nobody has moved for a minute is deleted';
    $db->do('DELETE FROM outbox');
    $alone->stop;
};

subtest 'the database is away' => sub {
    my $last = drive('last');
    eventually { $last->stat('keeping') } 10, 'a keeper';
    $db->kill9;
    eventually { !$last->stat('keeping') } 10, 'is none without its database';
    $db->start;
    eventually { $last->stat('keeping') } 20, 'and is one again with it';
    $last->add(n => 5, seat => 30, version => 2);
    eventually { all_told(30, 34, 2) } 20, 'rows move on';
};

done_testing;

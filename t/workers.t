# Several workers with one database and one Redis: what one sells the others
# show, through the outbox, its keeper and the stream, with the account in
# Redis that docs/worker.md has.  Halls are read again from the database once
# an hour here, so what is seen has come by the stream.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http);
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
$db->add_hall(id => 1, room => 'hall', ttl_ms => 300_000,
    sections => [{name => 'A', rows => 1, seats_per_row => 60}], seat_name => sub { "A-$_[2]" },
    pools => [{name => 'floor', capacity => 100, buckets => 4}]);
$db->add_hall(id => 2, room => 'hall', ttl_ms => 1000,
    sections => [{name => 'B', rows => 1, seats_per_row => 5}], seat_name => sub { "B-$_[2]" },
    pools => [{name => 'lawn', capacity => 5}]);
my $redis = Ticket::Redis->new(dir => temp_dir(), aof => 1);
my $password = 'p' . join '', map { ('a' .. 'z')[rand 26] } 1 .. 24;
my ($acl) = slurp(root_dir() . '/docs/worker.md') =~ /^    (ACL SETUSER ticket-worker .*)$/m;
allow();
Ticket::MariaDB::write_secret(temp_dir() . '/redis.password', "$password\n");

# An account is not in the append-only file.
sub allow { return $redis->cmd(split ' ', $acl =~ s/>\S+/>$password/r) }

my $key = 0;
my $token_keys;
my %worker = map { ($_ => worker($_)) } qw(one two);

sub worker {
    my ($name) = @_;
    my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, name => $name, config => {refresh_s => 3600},
        $token_keys ? (token_keys => $token_keys->{file}) : (),
        redis => {socket => $redis->socket, user => 'ticket-worker', password_file => temp_dir() . '/redis.password'});
    if ($token_keys) { $worker->{secret} = $token_keys->{secret} }
    else             { $token_keys = {file => temp_dir() . "/$name.keys", secret => $worker->{secret}} }
    return $worker;
}

sub post {
    my ($by, $performance, $body) = @_;
    return http($worker{$by}->target, POST => "/v1/performances/$performance/holds",
        [$worker{$by}->headers(number => 1), 'Idempotency-Key' => '"' . ++$key . '"'], $body);
}

# Seat or pool, as the worker shows it.
sub shown {
    my ($by, $performance, $name) = @_;
    my $answer = http($worker{$by}->target, GET => "/v1/performances/$performance/seats", [$worker{$by}->headers])->{json};
    my ($seat) = grep { $_->{seat} eq $name } @{$answer->{seats}};
    my ($pool) = grep { $_->{pool} eq $name } @{$answer->{pools}};
    return $seat ? $seat->{state} : $pool->{left};
}

sub keeping {
    my ($name) = @_;
    my @said = slurp($worker{$name}{log}) =~ /keeps the outbox (now|no more)/g;
    return @said && $said[-1] eq 'now';
}

is shown($_, 1, 'A-1'), 'free', "$_ has the hall in memory" for qw(one two);
is shown($_, 2, 'B-1'), 'free', "and the other" for qw(one two);

subtest 'what one holds the other shows' => sub {
    my $answer = post('one', 1, {seats => ['A-1', 'A-2'], pools => [{pool => 'floor', quantity => 3}]});
    is $answer->{status}, 201, 'held' or diag $answer->{body};
    is shown('one', 1, 'A-1'), 'held', 'its own worker knows at once';
    eventually { shown('two', 1, 'A-2') eq 'held' && shown('two', 1, 'floor') == 97 } 10, 'the other soon';
    is http($worker{two}->target, DELETE => $answer->{headers}{location}, [$worker{two}->headers(number => 1)])->{status},
        204, 'released by way of the other';
    eventually { shown('one', 1, 'A-2') eq 'free' && shown('one', 1, 'floor') == 100 } 10, 'which the first learns';
    eventually { $db->value('SELECT COUNT(*) FROM outbox') == 0 } 10, 'nothing is left in the outbox';
};

subtest 'holds that run out are swept' => sub {
    is post('two', 2, {seats => ['B-1'], pools => [{pool => 'lawn', quantity => 5}]})->{status}, 201, 'held';
    eventually { $db->value("SELECT COUNT(*) FROM hold WHERE performance_id = 2 AND state = 'expired'") == 1 } 20,
        'the hold is ended';
    is $db->value('SELECT SUM(held) FROM pool_bucket WHERE performance_id = 2'), 0, 'its places are free again';
    eventually { shown('one', 2, 'lawn') == 5 && shown('two', 2, 'lawn') == 5 } 10, 'and all workers know';
};

subtest 'Redis is away' => sub {
    $redis->kill9;
    is post('one', 1, {seats => ['A-10']})->{status}, 201, 'holds are made';
    is post('two', 2, {pools => [{pool => 'lawn', quantity => 2}]})->{status}, 201, 'of both';
    eventually { $db->value("SELECT COUNT(*) FROM hold WHERE state = 'expired'") == 2 } 20, 'and swept';
    cmp_ok $db->value('SELECT COUNT(*) FROM outbox'), '>=', 2, 'the outbox waits';
    $redis->restart;
    allow();
    eventually { shown('two', 1, 'A-10') eq 'held' } 20, 'what was sold meanwhile is seen';
    eventually { $db->value('SELECT COUNT(*) FROM outbox') == 0 } 20, 'nothing is left';
};

subtest 'the keeper is killed' => sub {
    my ($keeper) = grep { keeping($_) } qw(one two);
    my ($other) = grep { $_ ne $keeper } qw(one two);
    is post($other, 1, {seats => ["A-$_"]})->{status}, 201, "A-$_ held" for 20 .. 24;
    $worker{$keeper}->kill9;
    is post($other, 1, {seats => ["A-$_"]})->{status}, 201, "A-$_ held" for 25 .. 29;
    eventually { keeping($other) } 20, 'another takes over';
    eventually { $db->value('SELECT COUNT(*) FROM outbox') == 0 } 10, 'and moves all on';
    my $entries = $redis->cmd(XRANGE => 'ticket:{hall}:seats', '-', '+');
    my %told = map { my %field = @{$_->[1]}; map { ($_ => 1) } $field{e} =~ /\[(\d+),1,/g } @$entries;
    is_deeply [grep { !$told{$_ - 1} } 20 .. 29], [], 'nothing is missing in the stream';
    $worker{$keeper}->start;
    is shown($keeper, 1, 'A-29'), 'held', 'whoever begins anew reads the database';
};

done_testing;

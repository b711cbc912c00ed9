# The status: JSON of all rooms, with what is known and null for what is not;
# the line a minute in error.log; the access log's variables.

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Ticket::Http::Jar;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Test;
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $nginx = Ticket::Nginx->new(redis => $redis, http => <<'END');
    ticket_redis unix:%%REDIS%% timeout=5s;
    ticket_zone  rooms:32m interval=100ms "node=a \"b\"\\c";
    ticket_keys  %%KEYS%%;
    ticket_room  one  { slots 1; session 1h; claim 1s; liveness 1h; }
    ticket_room  show { slots 3; rate 100 20s; }
    ticket_room  late { timezone UTC; prequeue "2998-01-01 00:00:00"; opens "2999-01-01 00:00:00"; }
    log_format ticket '$request_method $uri $status room=$ticket_room state=$ticket_state number=$ticket_number '
                      'position=$ticket_position session=$ticket_session';
    server {
        listen unix:%%SOCK%%;
        access_log %%DIR%%/access.log ticket;
        location = /one    { ticket_queue one; }
        location = /gate   { ticket_gate one; empty_gif; }
        location = /show   { ticket_queue show:$arg_show; }
        location = /status { ticket_status; access_log off; }
        location = /other  { return 204; }
    }
END

sub ask {
    my ($method, $path, %more) = @_;
    return $nginx->http({method => $method, path => $path, %more});
}

sub status { return JSON::PP->new->decode(ask('GET', '/status')->{body}) }

sub room {
    my ($name) = @_;
    my ($room) = grep { $_->{room} eq $name } @{status()->{rooms}};
    return $room // {};
}

my $empty = ask('GET', '/status');
is($empty->{status}, 200, 'GET');
is($empty->{headers}{'content-type'}, 'application/json', 'is JSON');
is($empty->{headers}{'cache-control'}, 'no-store', 'and not kept');
is_deeply(JSON::PP->new->decode($empty->{body})->{rooms}, [], 'nobody has come');
is(ask('HEAD', '/status')->{body}, '', 'HEAD');
is(ask('POST', '/status')->{status}, 405, 'POST is not allowed');
is(status()->{node}, 'a "b"\\c', 'the name of the node');
eventually { status()->{redis}{connected} } 5, 'Redis is connected';

# One inside, two in line, of whom one is called and does not come.
my ($in, $gone, $waits) = map { Ticket::Http::Jar->new } 1 .. 3;
ask('POST', '/one', jar => $_) for $in, $gone, $waits;
ask('GET', '/gate', jar => $in);
eventually { (room('one')->{in_line} // 0) == 2 && room('one')->{present} == 2 } 5, 'two are in line';
my $one = room('one');
is_deeply([@$one{qw(phase mode issued called calls sessions)}], ['open', 'fifo', 3, 1, 0, 1], 'the line');
ok(!$one->{$_}, "not $_") for qw(paused sold_out settling);
is($one->{$_}, undef, "$_ is not known") for qw(seats_left);
is_deeply($one->{totals}, {calls => 1, sessions => 1, missed => 0}, 'totals');
is($one->{epoch}, $redis->cmd('HGET', 'ticket:{one}', 'epoch'), 'the epoch');
cmp_ok($one->{exchange_age_ms}, '<', 5000, 'how old that is');
is_deeply($one->{waits}, {count => 1, sum_ms => 0, p50_ms => 250, p90_ms => 450, p99_ms => 495}, 'waits: one, of no time');
is_deeply($one->{settings}, {
    mode => 'fifo', paused => JSON::PP::false, queue_all => JSON::PP::false, draw => JSON::PP::false, slots => 1,
    session_ms => 3600000, claim_ms => 1000, liveness_ms => 3600000,
    map { $_ => undef } qw(rate per_ms session_max_ms admit_per_1000_seats prequeue_at_ms opens_at_ms closes_at_ms),
}, 'settings');

# The second gives way: called, and missed; then the third gets in.
ask('DELETE', '/one', jar => $in);
eventually { room('one')->{calls} == 1 } 5, 'one is called';
eventually { room('one')->{totals}{missed} >= 1 } 10, 'and misses it';
eventually { ask('POST', '/one', jar => $waits)->{json}{state} eq 'admitted' } 10, 'the next comes';
eventually { room('one')->{totals}{sessions} == 2 } 5, 'two sessions begun';
my $after = room('one');
is($after->{waits}{count}, 2, 'two waits');
cmp_ok($after->{waits}{sum_ms}, '>=', 1000, 'of which one was for more than a second');
cmp_ok($after->{waits}{p99_ms}, '>', 1000, 'as the quantile says');
eventually { my $rate = room('one')->{admitted_per_second}; defined $rate && $rate > 0 && $rate < 1 } 10, 'admissions a second';

# Changed at run time, and a sale.
ask('POST', '/show?show=a');
$redis->cmd('HSET', 'ticket:{show:a}', 'set', 'slots=9 rate=50 per=1000 paused=1 mode=2', 'set_ver', 99);
$redis->cmd('SET', 'ticket:{show:a}:stock', 0);
eventually { room('show:a')->{settings}{slots} == 9 } 5, 'changes are in force';
my $show = room('show:a');
is_deeply([@{$show->{settings}}{qw(rate per_ms mode)}], [50, 1000, 'reject'], 'all of them');
is_deeply([map { $_ ? 1 : 0 } @$show{qw(paused sold_out)}], [1, 1], 'paused, sold out');
is_deeply([@$show{qw(mode seats_left)}], ['reject', 0], 'mode, and seats left');

# The access log, by the format of docs/metrics.md.
ask('GET', '/other');
my @log;
within(sub { @log = split /\n/, slurp(temp_dir() . '/access.log'); $log[-1] =~ m{/other} }, 5);
like($log[0], qr{^POST /one 201 room=one state=admitted number=1 position=- session=[0-9]+-1$}, 'a direct admission');
like($log[1], qr{^POST /one 201 room=one state=waiting number=2 position=[-0-9]+ session=-$}, 'a place in line');
ok((grep { m{^GET /gate 200 room=one state=admitted number=1 position=- session=[0-9]+-1$} } @log), 'through the gate');
ok((grep { m{^DELETE /one 204 room=one } } @log), 'leaving');
is($log[-1], 'GET /other 204 room=- state=- number=- position=- session=-', 'nothing elsewhere');

# A line a minute: not before one has passed.
my $line = qr/\[info\] .* ticket: room "(\S+)": in line [0-9]+, called [0-9]+, sessions [0-9]+, admitted [0-9]+ in the last minute, p50 wait (?:-|[0-9]+\.[0-9]s)(?:\n|$)/;
eventually { $nginx->error_log =~ /ticket: room "one": in line 0, called 0, sessions 1, admitted [12] in the last minute, p50 wait [0-9.]+s/ } 90,
    'error.log has a line of the room';
sleep 2;
my %told;
$told{$_}++ for $nginx->error_log =~ /$line/g;
is($told{one}, 1, 'one a minute, from one process');
my @info = grep { /\[info\].* ticket: / && !/$line/ && !/connected to Redis/ } split /\n/, $nginx->error_log;
is_deeply(\@info, [], 'and the module says nothing of requests');

# More rooms than are told.
my @many = map { {method => 'POST', path => "/show?show=i$_"} } 1 .. 520;
is((grep { $_->{status} != 201 } @{$nginx->http_many(\@many, concurrency => 20)}), 0, 'many instances');
my $all = status();
is(scalar @{$all->{rooms}}, 500, 'the answer is bounded');
is($all->{left_out}, $all->{zone}{instances} - 500, 'and says how many it leaves out');
cmp_ok($all->{zone}{free_bytes}, '<', $all->{zone}{bytes}, 'memory');
is($all->{zone}{bytes}, 32 * 1048576, 'of the zone');
cmp_ok($all->{redis}{round_trip_ms}, '>', 0, 'a round trip');
is($all->{redis}{last_error_s}, undef, 'Redis has not failed');

$redis->stop;
eventually { my $s = status()->{redis}; !$s->{connected} && $s->{errors} > 0 && defined $s->{last_error_s} } 10, 'Redis away';
my $old = room('one');
is($old->{sessions}, 1, 'the line is told on');
eventually { room('one')->{exchange_age_ms} > $old->{exchange_age_ms} } 5, 'and grows old';

done_testing;

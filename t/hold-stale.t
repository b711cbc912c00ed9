# A worker whose memory is behind, with nothing that tells it: it finds out from
# the database, in bounded time, and nobody else suffers for it.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_hall(id => $_, room => 'hall', ttl_ms => 3_600_000, max_per_user => 4,
    sections => [{name => 'S', rows => 4, seats_per_row => 10}],
    pools => [{name => 'floor', capacity => 50, buckets => 4}]) for 1 .. 5;
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {refresh_s => 3600, log_level => 'warn'});

sub hold {
    my ($number, $performance, $body) = @_;
    return http($worker->target, @{want($number, $performance, $body)});
}

sub want {
    my ($number, $performance, $body) = @_;
    return $worker->request($number, POST => "/v1/performances/$performance/holds", $body);
}

is hold(1, $_, {seats => ['S-1-1']})->{status}, 201, "performance $_ is in memory" for 1 .. 5;

subtest 'seats were freed and taken by others' => sub {
    $db->do("UPDATE hold SET state = 'released' WHERE performance_id = 1;
             UPDATE user_limit SET held = 0 WHERE performance_id = 1");
    $db->do("UPDATE seat SET state = 'free', hold_id = NULL, expires_at = NULL, version = version + 1
             WHERE performance_id = 1 AND state = 'held'");
    sleep 2;    # longer than anything is fresh
    is hold(2, 1, {seats => ['S-1-1']})->{status}, 201, 'a seat that is free by now is held';
    $db->set_seat(1, "S-2-$_", 'blocked') for 1 .. 10;
    my $answer = hold(3, 1, {seats => ['S-2-1']});
    is_deeply [@{$answer->{json}{conflicts}[0]}{qw(seat state)}], ['S-2-1', 'blocked'], 'one that is gone is refused, as it is';
    $db->set_seat(1, 'S-3-1', 'blocked');
    $db->set_seat(1, 'S-3-1', 'free');
    is hold(4, 1, {seats => [{seat => 'S-3-1', version => 2}]})->{status}, 201, 'a version that only the client has heard of is believed';
    is hold(5, 1, {seats => [{seat => 'S-3-2', version => 4_000_000_000}]})->{status}, 409, 'one that nobody wrote is not';
};

subtest 'the best is gone, row after row' => sub {
    $db->set_seat(2, $_, 'blocked') for grep { $_ ne 'S-1-1' } map { my $row = $_; map { "S-$row-$_" } 1 .. 10 } 1 .. 3;
    my $answer = hold(2, 2, {best => {quantity => 3}});
    is $answer->{status}, 201, 'what is left is found';
    is scalar(grep { $_->{seat} !~ /^S-4-/ } @{$answer->{json}{seats}}), 0, 'where it is';
};

subtest 'an operator lowers what one person may have' => sub {
    is hold(2, 3, {pools => [{pool => 'floor', quantity => 2}]})->{status}, 201, 'two of four';
    $db->do('UPDATE performance SET max_per_user = 2, version = version + 1 WHERE id = 3;
             UPDATE user_limit SET max_units = GREATEST(2, held) WHERE performance_id = 3');
    my $told = http_many($worker->target,
        [want(2, 3, {pools => [{pool => 'floor', quantity => 1}]}), map { want(10 + $_, 3, {best => {quantity => 1}}) } 1 .. 20],
        concurrency => 21);
    my %n;
    $n{$_->{status}}++ for @$told[1 .. 20];
    is_deeply \%n, {201 => 20}, 'others get theirs, though he is with them';
    like $told->[0]{status}, qr/^(?:201|422)$/, 'and he by what this worker knows';
    $db->do('UPDATE user_limit SET max_units = 2 WHERE performance_id = 3 AND held <= 2') if $told->[0]{status} == 422;
};

subtest 'a performance is deleted' => sub {
    $db->do("DELETE FROM hold WHERE performance_id = 4; DELETE FROM user_limit WHERE performance_id = 4;
             DELETE FROM seat WHERE performance_id = 4; DELETE FROM pool_bucket WHERE performance_id = 4;
             DELETE FROM performance WHERE id = 4");
    sleep 2;
    for my $wish ({seats => ['S-1-1']}, {seats => ['S-1-2']}, {best => {quantity => 2}}, {pools => [{pool => 'floor', quantity => 1}]}) {
        my $answer = hold(7, 4, $wish);
        like $answer->{status}, qr/^(?:404|409|503)$/, "an answer: $answer->{status}";
    }
    is hold(8, 5, {best => {quantity => 1}})->{status}, 201, 'and others are served';
};

$worker->stop;
is_deeply [$worker->problems], [], 'the worker stops as it should';

done_testing;

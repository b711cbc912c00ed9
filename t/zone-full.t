# A zone that is full: nobody new can join what does not fit, error.log says
# what to do, and those in line go on.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;

my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, 'slots 1; session 60s; claim 60s; liveness 60s;', zone => 'rooms:192k interval=100ms');
my @crowd = crowd($node, 5);

# Every value is a line of its own, until there is no memory for another.
my ($made, $answer) = (0);
for my $n (1 .. 30) {
    $answer = $node->http('POST', "/q?show=$n");
    last if $answer->{status} != 201;
    $made++;
}
cmp_ok($made, '>=', 1, 'lines are made while there is room');
is($answer->{status}, 503, 'then a newcomer to another line is answered 503');
is($answer->{json}{code}, 'unavailable', 'as a problem');
ok($answer->{headers}{'retry-after'}, 'with Retry-After');
my @lines = $node->error_log =~ /\[error\].*ticket: the zone is full, nobody new can join room "[^"]+"; enlarge ticket_zone/g;
cmp_ok(scalar @lines, '>=', 1, 'error.log says what to do');
cmp_ok(scalar @lines, '<=', 3, 'and not with every request');

# Those in line, newcomers to their line, and the gate.
eventually { poll_all(\@crowd); ($crowd[4]{position} // 0) == 4 } 3, 'those in line have their position';
my ($more) = crowd($node, 1);
is($more->{number}, 6, 'a line that has memory takes newcomers');
leave_all([$crowd[0]]);
eventually { poll_all([$crowd[1]]); $crowd[1]{state} eq 'called' } 3, 'calls go on';
post_all([$crowd[1]]);
is($crowd[1]{state}, 'admitted', 'and admissions');
is((each_visitor([$crowd[1]], 'GET', path => '/site'))[0]{status}, 200, 'the gate lets them through');
is($node->http('GET', '/q?show=99')->{status}, 401, 'a poll without a token is what it always was');

done_testing;
